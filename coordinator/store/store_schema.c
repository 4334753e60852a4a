/* The schema, as prose. Migrations are append-only: one text each, run in order against
 * PRAGMA user_version. Numbers of statuses and kinds are those of shared/words.h. */
#include "store_sql.h"

const char *const store_migrations[STORE_SCHEMA] = {
    /* A plan is a file of tasks that were submitted as one; run again, it is the same plan. */
    "CREATE TABLE plan("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  source TEXT,"          /* the file it was read from */
    "  base TEXT,"            /* the commit that its tasks start from, as of the last submit */
    "  target TEXT,"          /* the branch that chosen work is merged into */
    "  agents TEXT NOT NULL," /* JSON: name -> profile, without env */
    "  limits TEXT NOT NULL," /* JSON: how many at once */
    "  created_at INTEGER NOT NULL"
    ") STRICT;"

    /* What many tasks share is stored once: verify, setup, copy, link, timeout, retries. */
    "CREATE TABLE spec(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;"

    /* A task. The row is small because it is written four times in a task's life; what a
     * person wrote is in task_text. */
    "CREATE TABLE task("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  plan INTEGER NOT NULL REFERENCES plan(id),"
    "  key TEXT NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  status INTEGER NOT NULL DEFAULT 0,"
    "  parent INTEGER REFERENCES task(id)," /* the choice of which it is an alternative */
    "  chosen INTEGER REFERENCES task(id)," /* of a choice: the winner */
    "  priority INTEGER NOT NULL DEFAULT 0,"
    "  unfinished INTEGER NOT NULL DEFAULT 0,"       /* blockers that keep it from being ready */
    "  settled_blockers INTEGER NOT NULL DEFAULT 0," /* when: settled */
    "  delay_ms INTEGER NOT NULL DEFAULT 0,"         /* back-off that remains; awake time */
    "  slot_none INTEGER NOT NULL DEFAULT 0,"
    "  agent TEXT, model TEXT, choose TEXT,"
    "  root_base TEXT,"                      /* the plan's base when it was submitted */
    "  next_base TEXT,"                      /* blockers merged: where the next attempt starts */
    "  attempt INTEGER,"                     /* the current or last attempt: the fence */
    "  attempts INTEGER NOT NULL DEFAULT 0," /* how many were started */
    "  failures INTEGER NOT NULL DEFAULT 0," /* counted against retries */
    "  losses INTEGER NOT NULL DEFAULT 0,"   /* workers that died under it */
    "  base TEXT, head TEXT, tree TEXT, unchanged INTEGER,"
    "  error_code INTEGER NOT NULL DEFAULT 0, error_message TEXT,"
    "  input TEXT,"  /* JSON: what it waits for a person with */
    "  answer TEXT," /* what the person said, until the next question */
    "  landing INTEGER NOT NULL DEFAULT 0, landing_detail TEXT,"
    "  created_at INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER,"
    "  UNIQUE(plan, key)"
    ") STRICT;"
    "CREATE INDEX task_ready ON task(priority DESC, id)"
    "  WHERE kind = 0 AND status = 0 AND unfinished = 0 AND delay_ms = 0;"
    /* Few at any time: ready, and nobody knows yet what they start from. */
    "CREATE INDEX task_without_base ON task(priority DESC, id)"
    "  WHERE kind = 0 AND status = 0 AND unfinished = 0 AND delay_ms = 0 AND slot_none = 0"
    "  AND next_base IS NULL;"
    "CREATE INDEX task_status ON task(status) WHERE status IN (1, 2, 4, 5);"
    "CREATE INDEX task_parent ON task(parent) WHERE parent IS NOT NULL;"

    "CREATE TABLE task_text("
    "  task INTEGER PRIMARY KEY REFERENCES task(id),"
    "  subject TEXT NOT NULL, prompt TEXT NOT NULL, metadata TEXT,"
    "  spec INTEGER NOT NULL REFERENCES spec(id),"
    "  definition TEXT NOT NULL," /* digest of what the plan said: has it changed? */
    "  nonce TEXT UNIQUE,"        /* of `add`: asked twice, added once */
    "  output TEXT"               /* the agent's last words */
    ") STRICT;"

    /* task waits for blocker. */
    "CREATE TABLE dependency("
    "  task INTEGER NOT NULL REFERENCES task(id),"
    "  blocker INTEGER NOT NULL REFERENCES task(id),"
    "  PRIMARY KEY(task, blocker)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX dependency_blocker ON dependency(blocker);"

    /* Whoever ends (or is redone) tells its dependents, whatever code path it was. A
     * completed blocker counts for all; a settled one for those with when: settled. */
    "CREATE TRIGGER task_unblocks AFTER UPDATE OF status ON task"
    "  WHEN (OLD.status >= 3) <> (NEW.status >= 3) OR (OLD.status = 3) <> (NEW.status = 3)"
    "  BEGIN"
    "    UPDATE task SET unfinished = unfinished + CASE settled_blockers"
    "      WHEN 1 THEN (OLD.status >= 3) - (NEW.status >= 3)"
    "      ELSE (OLD.status = 3) - (NEW.status = 3) END"
    "    WHERE id IN (SELECT task FROM dependency WHERE blocker = NEW.id);"
    "  END;"

    /* One execution of a task by one teammate. Its id is the fence. */
    "CREATE TABLE attempt("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  task INTEGER NOT NULL REFERENCES task(id),"
    "  teammate TEXT NOT NULL,"
    "  branch TEXT NOT NULL, base TEXT, head TEXT, tree TEXT, slot TEXT,"
    "  agent TEXT, model TEXT,"
    "  outcome INTEGER NOT NULL DEFAULT 0,"
    "  unchanged INTEGER NOT NULL DEFAULT 0,"
    "  error_code INTEGER NOT NULL DEFAULT 0, error_message TEXT,"
    "  verify TEXT, usage TEXT, changes TEXT, kept TEXT," /* JSON */
    "  started_at INTEGER NOT NULL, ended_at INTEGER, seconds REAL"
    ") STRICT;"
    "CREATE INDEX attempt_task ON attempt(task);"
    "CREATE INDEX attempt_running ON attempt(teammate) WHERE outcome = 0;"
    "CREATE INDEX attempt_open ON attempt(task) WHERE outcome = 0;"

    "CREATE TABLE teammate("
    "  name TEXT PRIMARY KEY,"
    "  number INTEGER NOT NULL UNIQUE," /* PLEACH_SLOT */
    "  agent TEXT, profile TEXT,"
    "  paused INTEGER NOT NULL DEFAULT 0,"
    "  removing INTEGER NOT NULL DEFAULT 0,"       /* ends when its attempt has */
    "  pid INTEGER, start_time INTEGER, boot TEXT" /* its worker: a pid alone proves nothing */
    ") STRICT;"

    /* The log of what happened; seq is its number. Never changed, only old progress pruned. */
    "CREATE TABLE event("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  at INTEGER NOT NULL, kind TEXT NOT NULL,"
    "  task INTEGER, attempt INTEGER, teammate TEXT, data TEXT"
    ") STRICT;"

    "CREATE TABLE message("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  teammate TEXT, task INTEGER, text TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL, delivered_at INTEGER"
    ") STRICT;"
    "CREATE INDEX message_waiting ON message(teammate) WHERE delivered_at IS NULL;"

    /* One move of the target. An open row says: we may have moved it; look. */
    "CREATE TABLE landing("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  target TEXT NOT NULL, before_commit TEXT NOT NULL, after_commit TEXT NOT NULL,"
    "  tasks TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0," /* 0 open, 1 landed, 2 given up */
    "  created_at INTEGER NOT NULL, closed_at INTEGER"
    ") STRICT;"
    "CREATE INDEX landing_open ON landing(id) WHERE state = 0;"

    "CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"

    /* For people's own queries on a snapshot: stable, whatever the tables become. */
    "CREATE VIEW task_v(id, key, plan, status, owner, attempt, head) AS"
    "  SELECT task.id, task.key, plan.name,"
    "    CASE task.status WHEN 0 THEN 'pending' WHEN 1 THEN 'in_progress'"
    "      WHEN 2 THEN 'needs_input' WHEN 3 THEN 'completed' WHEN 4 THEN 'failed'"
    "      ELSE 'cancelled' END,"
    "    CASE WHEN attempt.outcome = 0 THEN attempt.teammate END, task.attempt, task.head"
    "  FROM task JOIN plan ON plan.id = task.plan"
    "  LEFT JOIN attempt ON attempt.id = task.attempt;",

    /* Few at any time: what recovery waits out again, found without reading every task. */
    "CREATE INDEX task_delayed ON task(id) WHERE delay_ms > 0;",

    /* Numbers that a plan's `measure` commands gave: {NAME:{"value",…}}; and what the judge of
     * a choice said of its alternatives. */
    "ALTER TABLE attempt ADD COLUMN measures TEXT;"
    "CREATE TABLE verdict(choice INTEGER PRIMARY KEY REFERENCES task(id), text TEXT NOT NULL)"
    " STRICT;",

    /* What a plan says of landing, and the queue of what waits to land: oldest first, each
     * behind its blockers. A row goes when its task has landed or cannot. */
    "ALTER TABLE plan ADD COLUMN policy TEXT;" /* JSON: squash, message, sign, resolve… */
    "ALTER TABLE plan ADD COLUMN lands INTEGER NOT NULL DEFAULT 0;" /* 1 auto, 2 resolve */
    /* Of a move back: the ids of the landings that it undoes. State 3: undone. */
    "ALTER TABLE landing ADD COLUMN undoes TEXT;"
    "CREATE INDEX landing_target ON landing(target, id);"
    "CREATE INDEX task_landed ON task(finished_at) WHERE landing = 2;"
    "CREATE TABLE landing_queue("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  task INTEGER NOT NULL UNIQUE REFERENCES task(id),"
    "  target TEXT NOT NULL,"
    "  squash INTEGER NOT NULL DEFAULT 0,"
    "  created_at INTEGER NOT NULL"
    ") STRICT;",

    /* The agent's own session, so that it can be gone on with: by the next attempt of the task
     * (`retry --resume`, or after a crash), or by the next task of a teammate that keeps it. */
    "ALTER TABLE attempt ADD COLUMN session TEXT;"
    "ALTER TABLE attempt ADD COLUMN continues TEXT;" /* JSON: attempt, session, head, why */
    "ALTER TABLE attempt ADD COLUMN rounds TEXT;"    /* JSON: [proof], one a verify */
    "ALTER TABLE task ADD COLUMN resume INTEGER NOT NULL DEFAULT 0;" /* the attempt to go on with */
    "ALTER TABLE teammate ADD COLUMN keep_session INTEGER NOT NULL DEFAULT 0;",

    /* Who a message is from, as its token said; what became of it; and answers, which are
     * messages to one attempt about one question of it. */
    "ALTER TABLE message ADD COLUMN sender TEXT;" /* a teammate; NULL: a person */
    "ALTER TABLE message ADD COLUMN sender_task INTEGER;"
    "ALTER TABLE message ADD COLUMN state INTEGER NOT NULL DEFAULT 0;" /* enum message_state */
    "ALTER TABLE message ADD COLUMN attempt INTEGER;"
    "ALTER TABLE message ADD COLUMN request INTEGER;"
    "UPDATE message SET state = 1 WHERE delivered_at IS NOT NULL;"
    "CREATE INDEX message_queued ON message(task) WHERE delivered_at IS NULL;"
    "CREATE INDEX message_answer ON message(attempt) WHERE attempt IS NOT NULL;",

    /* What each attempt used, by the day (yyyymmdd, local) on which it was told: told again, the
     * row is the same. NULL: not told. */
    "CREATE TABLE usage("
    "  attempt INTEGER NOT NULL REFERENCES attempt(id),"
    "  day INTEGER NOT NULL,"
    "  task INTEGER NOT NULL REFERENCES task(id),"
    "  plan INTEGER NOT NULL REFERENCES plan(id),"
    "  input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL,"
    "  PRIMARY KEY(attempt, day)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX usage_task ON usage(task);"
    "CREATE INDEX usage_plan ON usage(plan);"
    "CREATE INDEX usage_day ON usage(day);"
    "INSERT INTO usage SELECT a.id,"
    "  CAST(strftime('%Y%m%d', a.started_at / 1000, 'unixepoch', 'localtime') AS INTEGER),"
    "  a.task, t.plan, CAST(json_extract(a.usage, '$.input_tokens') AS INTEGER),"
    "  CAST(json_extract(a.usage, '$.output_tokens') AS INTEGER),"
    "  CAST(json_extract(a.usage, '$.cost_usd') AS REAL)"
    "  FROM attempt AS a JOIN task AS t ON t.id = a.task"
    "  WHERE a.usage IS NOT NULL AND json_valid(a.usage);"
    /* Its spec has a budget: looked at before it starts. */
    "ALTER TABLE task ADD COLUMN budgeted INTEGER NOT NULL DEFAULT 0;"
    /* Until when nothing of an agent starts, because its service said so; '' is all agents: the
     * budget of the day. `deadline` is awake and asleep time of that boot, so that a clock that is
     * set back does not make it longer. until 0: over, the tries are remembered. */
    "CREATE TABLE hold("
    "  agent TEXT PRIMARY KEY,"
    "  until INTEGER NOT NULL, since INTEGER NOT NULL,"
    "  deadline INTEGER NOT NULL, boot TEXT NOT NULL,"
    "  tries INTEGER NOT NULL, attempt INTEGER, message TEXT"
    ") STRICT, WITHOUT ROWID;",

    /* What waits to land: of the higher priority first; its first ones, not all, are read. */
    "ALTER TABLE landing_queue ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX landing_queue_order ON landing_queue(target, priority DESC, id);",

    /* Dependents are told by the one statement that writes a status (store_task_write_state): a
     * trigger makes each such write open two tables in memory, three times the cost of it all. An
     * attempt that runs is found by its task as well as by an index of its own. */
    "DROP TRIGGER task_unblocks;"
    "DROP INDEX attempt_open;"
    /* Neither waiting nor completed: few. With IN its condition made each write of a task build a
     * table of the numbers, and no query was found to fit it; they name both terms (TASK_IS_FEW).
     */
    "DROP INDEX task_status;"
    "CREATE INDEX task_status ON task(status) WHERE status > 0 AND status <> 3;",

    /* An edge without REFERENCES: looking both ends up cost as much as writing it, and no task is
     * ever deleted. A nonce is rare: only those that are there are in its index. */
    "CREATE TABLE edge("
    "  task INTEGER NOT NULL, blocker INTEGER NOT NULL, PRIMARY KEY(task, blocker)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO edge SELECT task, blocker FROM dependency;"
    "DROP TABLE dependency;"
    "ALTER TABLE edge RENAME TO dependency;"
    "CREATE INDEX dependency_blocker ON dependency(blocker);"
    "CREATE TABLE text_of("
    "  task INTEGER PRIMARY KEY REFERENCES task(id),"
    "  subject TEXT NOT NULL, prompt TEXT NOT NULL, metadata TEXT,"
    "  spec INTEGER NOT NULL REFERENCES spec(id),"
    "  definition TEXT NOT NULL, nonce TEXT, output TEXT"
    ") STRICT;"
    "INSERT INTO text_of SELECT task, subject, prompt, metadata, spec, definition, nonce, output"
    "  FROM task_text;"
    "DROP TABLE task_text;"
    "ALTER TABLE text_of RENAME TO task_text;"
    "CREATE UNIQUE INDEX task_nonce ON task_text(nonce) WHERE nonce IS NOT NULL;",

    /* What agents have sent and nobody has yet: counted before each further one. */
    "CREATE INDEX message_sender ON message(sender_task)"
    "  WHERE delivered_at IS NULL AND sender_task IS NOT NULL;",

    /* A run that was broken off waits for it no more: it does not start until somebody asks. */
    "ALTER TABLE task ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;"
    /* What did not land, and why: few, and looked for whenever somebody asks how things stand. */
    "CREATE INDEX task_unlanded ON task(id) WHERE landing_detail IS NOT NULL AND landing <> 2;",
};
