/* gc: what may go. Each removal is proven safe by pleach-git, which refuses a worktree that
 * holds anything unsaved; without --yes it only tells. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"

struct gc {
	struct later *later;
	bool yes;
	json_t *items;
	size_t waiting;
};

static void gc_end(struct coordinator *c, struct gc *gc)
{
	if (gc->waiting)
		return;
	later_reply(c, gc->later, json_pack("{s:o}", "items", gc->items));
	free(gc);
}

struct removal {
	struct gc *gc;
	json_t *item;
};

static void removed(struct coordinator *c, const json_t *result, const struct error *why,
                    void *context)
{
	struct removal *removal = context;
	struct gc *gc = removal->gc;

	if (!result) {
		json_object_set_new(removal->item, "remove", json_false());
		json_object_set_new(removal->item, "why", json_text_or_null(why->text));
	}
	json_decref(removal->item);
	free(removal);
	gc->waiting--;
	gc_end(c, gc);
}

/* Of a slot of ours. NULL: it may go. */
static const char *keep_reason(struct coordinator *c, const char *name)
{
	if (strncmp(name, "integration", strlen("integration")) == 0)
		return "merges are proven in it";
	if (team_find(c, name))
		return "a teammate's slot";
	return NULL;
}

/* A slot of ours is below the slots' folder; what `pleach open` made may be elsewhere. */
static void look_at(struct coordinator *c, struct gc *gc, const json_t *tree, const char *slots)
{
	const char *dir = json_text(tree, "dir"), *name = NULL, *keep;
	size_t n = strlen(slots);
	bool opened = json_flag(tree, "opened");
	struct removal *removal;
	json_t *item;

	if (dir && strncmp(dir, slots, n) == 0 && dir[n] == '/')
		name = dir + n + 1;
	if (!name && !opened)
		return; /* not made by pleach */
	keep = name ? keep_reason(c, name) : NULL;
	item = json_pack("{s:s, s:o, s:n, s:b, s:s}", "what", "worktree", "path",
	                 json_text_or_null(dir), "bytes", "remove", keep == NULL, "why",
	                 keep ? keep : "no teammate has it any more");
	json_array_append_new(gc->items, item);
	/* People work in what `pleach open` made. By its name alone, too: one more that is asked
	 * about is no harm. */
	opened = opened || strncmp(name, "open-", 5) == 0;
	if (keep || (!gc->yes && !opened))
		return;
	removal = xcalloc(1, sizeof *removal);
	removal->gc = gc;
	removal->item = json_incref(item);
	gc->waiting++;
	gitq_ask(c, "remove",
	         json_pack("{s:s, s:b, s:b}", "dir", dir, "idle", opened, "dry", !gc->yes), removed,
	         removal);
}

/* What is no slot is listed and stays: only a person knows what it is worth. */
static void left_over(struct coordinator *c, const json_t *result, const struct error *why,
                      void *context)
{
	struct gc *gc = context;
	json_t *item;
	size_t i;

	(void)why; /* no folder of slots: nothing is in it */
	json_array_foreach (json_sub(result, "items"), i, item) {
		json_t *kept = json_copy(item);

		json_object_set_new(kept, "what", json_string("leftover"));
		json_object_set_new(kept, "bytes", json_null());
		json_object_set_new(kept, "remove", json_false());
		json_array_append_new(gc->items, kept);
	}
	gc->waiting--;
	gc_end(c, gc);
}

static void listed(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	_cleanup_free_ char *slots = team_slots_dir(c), *real = realpath(slots, NULL);
	struct gc *gc = context;
	json_t *item;
	size_t i;

	if (!result) {
		later_fail(c, gc->later, why);
		json_decref(gc->items);
		free(gc);
		return;
	}
	gc->waiting = 1; /* until all have been looked at, and the leftovers are listed */
	json_array_foreach (json_object_get(result, "worktrees"), i, item)
		look_at(c, gc, item, real ? real : slots);
	gitq_ask(c, "leftovers", json_pack("{s:o}", "slots", json_text_or_null(slots)), left_over,
	         gc);
}

int method_gc(struct request *r, struct error *err)
{
	struct gc *gc = xcalloc(1, sizeof *gc);

	(void)err;
	gc->yes = json_flag(r->params, "yes");
	gc->items = json_array();
	gc->later = request_later(r);
	gitq_ask(r->c, "worktrees", json_object(), listed, gc);
	return 0;
}
