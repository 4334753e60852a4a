/* The table of pinned configuration keys. Behaviour of each with git 2.39.5. */
#include "pinned_rules.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* A merge driver cannot be made undefined by an override (an empty command is an error),
 * so an unknown one becomes what git does without it: a merge of texts. */
#define MERGE_TEXT "git merge-file --marker-size=%L %A %O %B"

static const struct pinned_rule rules[] = {
    /* an empty command is no filter; required would turn that into an error */
    {"filter", true, "clean", "", NULL},
    {"filter", true, "smudge", "", NULL},
    {"filter", true, "process", "", NULL},
    {"filter", true, "required", "false", NULL},
    {"diff", true, "command", "", NULL},
    {"diff", true, "textconv", "", NULL},
    {"merge", true, "driver", MERGE_TEXT, NULL},
    {"merge", true, "recursive", "text", NULL},
    {"gpg", false, "program", "gpg", NULL},
    {"gpg", true, "program", "false", NULL},
    {"gpg", true, "defaultkeycommand", "false", NULL},
    {"remote", true, "uploadpack", "git-upload-pack", NULL},
    {"remote", true, "promisor", "false", NULL},
    {"core", false, "sshcommand", "ssh", NULL},
    {"core", false, "askpass", "", NULL},
    {"core", false, "attributesfile", NULL, "attributes"},
    {"core", false, "excludesfile", NULL, "ignore"},
    /* which bytes are a file's content, and whether a change is seen */
    {"core", false, "autocrlf", "false", NULL},
    {"core", false, "eol", "native", NULL},
    {"core", false, "trustctime", "true", NULL},
    {"core", false, "checkstat", "default", NULL},
    {"core", false, "symlinks", "true", NULL},
    {"core", false, "filemode", "true", NULL},
    {"core", false, "ignorecase", "false", NULL},
    /* how things are merged: the same inputs, the same result */
    {"merge", false, "default", "text", NULL},
    {"merge", false, "renames", "true", NULL},
    {"merge", false, "renamelimit", "7000", NULL},
    {"merge", false, "directoryrenames", "conflict", NULL},
    {"merge", false, "conflictstyle", "merge", NULL},
    {"diff", false, "renames", "true", NULL},
    {"diff", false, "ignoresubmodules", "none", NULL},
};

const struct pinned_fixed pinned_fixed[] = {
    {"core.fsmonitor", "false"},
    {"core.hooksPath", "/dev/null"},
    {"core.fsync", "committed,loose-object,reference"},
    {"core.fsyncMethod", "batch"},
    {"core.ignoreStat", "false"},
    {"core.untrackedCache", "false"},
    {"core.splitIndex", "false"},
    {"core.safecrlf", "false"},
    {"core.quotePath", "false"},
    {"core.pager", "cat"},
    {"core.editor", "false"},
    {"index.sparse", "false"},
    {"i18n.commitEncoding", "UTF-8"},
    {"submodule.recurse", "false"},
    {"checkout.workers", "0"},
    {"gc.auto", "0"},
    {"maintenance.auto", "false"},
    {"log.showSignature", "false"},
    {"merge.verifySignatures", "false"},
    {"merge.autoStash", "false"},
    {"advice.addEmbeddedRepo", "false"},
    {"advice.updateSparsePath", "false"},
    {"advice.detachedHead", "false"},
    {"protocol.ext.allow", "never"},
    {NULL, NULL},
};

const char *const pinned_environment_fixed[] = {
    "GIT_TERMINAL_PROMPT=0",
    "GIT_PAGER=cat",
    "GIT_EDITOR=false",
    "GIT_SEQUENCE_EDITOR=false",
    "GIT_ASKPASS=false",
    "SSH_ASKPASS=false",
    "GIT_OPTIONAL_LOCKS=0",
    /* an agent can plant refs/replace and grafts; what is recorded is the real thing */
    "GIT_NO_REPLACE_OBJECTS=1",
    "GIT_GRAFT_FILE=/dev/null/none",
    NULL,
};

const struct pinned_rule *pinned_rule(const char *key)
{
	const char *first = strchr(key, '.'), *last = strrchr(key, '.');

	if (!first)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct pinned_rule *rule = &rules[i];

		if (rule->sub == (first != last) && strcmp(rule->name, last + 1) == 0 &&
		    strlen(rule->section) == (size_t)(first - key) &&
		    strncmp(rule->section, key, (size_t)(first - key)) == 0)
			return rule;
	}
	return NULL;
}

char *pinned_rule_neutral(const struct pinned_rule *rule)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (rule->neutral)
		return xstrdup(rule->neutral);
	if (xdg && *xdg)
		return xasprintf("%s/git/%s", xdg, rule->file);
	return home ? xasprintf("%s/.config/git/%s", home, rule->file) : xstrdup("/dev/null");
}
