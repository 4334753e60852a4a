"""The plan of a crash run: made from a seed, the same every time.

Owns what the witness agents are told to do (witness.c knows the cues). Knows nothing of kills.
"""
import random

LAYERS = 20
OWN = 0.08  # of the tasks: with a worktree of their own, where git has its part
CHOICES = 0.01  # of the tasks: two alternatives, the first one is taken
RETRIES = 100  # a killed agent is a failed attempt: none may run out of them

# What becomes of a worktree, and what an agent does else: how often each.
OWN_WORK = (("write:1", 4), ("write:3", 3), ("write:2 commit", 3), ("write:1 commit write:2", 2))
HABITS = (
    ("", 60), ("sleep:20", 12), ("sleep:100", 5), ("flood:200", 3), ("ignore sleep:20", 3),
    ("child:", 3), ("child:setsid", 3), ("child:setsid+clearenv", 2),
    ("child:setsid+clearenv+chdir+ignore", 2), ("child:chdir+ignore sleep:20", 2),
    ("fail:1", 2), ("signal:1", 2), ("fail:2", 1),
)


def weighted(rng, choices):
    return rng.choices([cue for cue, _ in choices], [weight for _, weight in choices])[0]


def prompt(rng, own):
    cues = [weighted(rng, HABITS)]
    if own:  # the work comes first now and then, then what the agent does must not undo it
        cues.insert(rng.randrange(2), weighted(rng, OWN_WORK))
    return " ".join(cue for cue in cues if cue) or "sleep:0"


def make_task(rng, key, earlier):
    own = rng.random() < OWN
    task = {"id": key, "prompt": prompt(rng, own), "retries": RETRIES}
    if not own:
        task["slot"] = "none"
    elif rng.random() < CHOICES / OWN:
        task.update(alternatives=2, choose="first")
    elif rng.random() < 0.3:
        task["verify"] = 'ls w/"$PLEACH_KEY"-* >/dev/null'
    if earlier:
        task["blocked_by"] = sorted(rng.sample(earlier, min(len(earlier), rng.randint(1, 3))))
    return task


def layers_of(tasks):
    return max(1, min(LAYERS, tasks // 4))


def gate(folder, layer):
    """The file without which no task of this layer begins: an agent waits for it."""
    return f"{folder}/gate-{layer}"


def make(seed, tasks, team, witness, folder):
    """A plan of `tasks` tasks (alternatives and gates not counted) in layers; where agents, tests
    and gates meet is `folder`."""
    rng = random.Random(f"plan {seed}")
    layers = layers_of(tasks)
    made, earlier, own_earlier = [], [], []
    for layer in range(layers):
        made.append({"id": f"gate{layer}", "prompt": f"until:{gate(folder, layer)}", "slot": "none",
                     "retries": RETRIES, "priority": 1,
                     "blocked_by": [f"gate{layer - 1}"] if layer else []})
        this = []
        for i in range(tasks * layer // layers, tasks * (layer + 1) // layers):
            task = make_task(rng, f"t{i}", earlier)
            if task.get("slot") != "none" and own_earlier and rng.random() < 0.7:
                # its base is what several others made, merged
                task["blocked_by"] = sorted(rng.sample(own_earlier, min(2, len(own_earlier))))
            task["blocked_by"] = [*task.get("blocked_by", ()), f"gate{layer}"]
            this.append(task)
        made += this
        earlier = [task["id"] for task in this]
        own_earlier = [task["id"] for task in made if task.get("slot") != "none"][-12:]
    return {
        "name": "crash", "team": team,
        "agents": {"witness": {"command": [witness, f"{folder}/witness.log", "{prompt_file}"]}},
        "defaults": {"agent": "witness"},
        "tasks": made,
    }
