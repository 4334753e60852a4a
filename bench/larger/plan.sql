-- Dependencies for graphile-worker, which has none: a task's job is added in the transaction in
-- which the last of its blockers has ended.
CREATE SCHEMA plan;

CREATE TABLE plan.task (
	id integer PRIMARY KEY,
	waits integer NOT NULL,             -- for so many blockers
	command json NOT NULL,
	done boolean NOT NULL DEFAULT false
);

CREATE TABLE plan.edge (
	blocker integer NOT NULL,
	task integer NOT NULL,
	PRIMARY KEY (blocker, task)
);

CREATE FUNCTION plan.add(ready integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM graphile_worker.add_jobs((
		SELECT array_agg(json_populate_record(NULL::graphile_worker.job_spec, json_build_object(
			'identifier', 'task', 'payload', json_build_object('task', id, 'command', command))) ORDER BY id)
		FROM plan.task WHERE id = ANY (ready)));
END $$;

-- Its process has ended. A job that runs a second time, because its worker died between this and its
-- deletion, changes nothing. Two that end at once lock what they unblock in the same order.
CREATE FUNCTION plan.finish(ended integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	behind integer[];
	ready integer[];
BEGIN
	UPDATE plan.task SET done = true WHERE id = ended AND NOT done;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT array_agg(task) INTO behind FROM plan.edge WHERE blocker = ended;
	IF behind IS NULL THEN
		RETURN;
	END IF;
	PERFORM FROM plan.task WHERE id = ANY (behind) ORDER BY id FOR UPDATE;
	WITH less AS (
		UPDATE plan.task SET waits = waits - 1 WHERE id = ANY (behind) RETURNING id, waits
	)
	SELECT array_agg(id) INTO ready FROM less WHERE waits = 0;
	IF ready IS NOT NULL THEN
		PERFORM plan.add(ready);
	END IF;
END $$;
