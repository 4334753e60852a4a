/* Finds the test command of a repository that nobody configured: make, cargo, go, npm,
 * pytest, in this order. Looks at files, runs nothing. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan_internal.h"

#define LOOK_MAX (1u << 20) /* bytes of a file that is looked at */

/* The start of a regular file, or NULL. Caller frees. */
static char *look(const char *root, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	struct buf text = BUF_INIT;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return NULL;
	while (text.len < LOOK_MAX && buf_read(&text, fd, 64u << 10) > 0)
		;
	return buf_take(&text);
}

/* A rule `test:` (also `check test:`), not a variable `test := …`. */
static bool has_test_rule(const char *makefile)
{
	for (const char *line = makefile; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		size_t colon = strcspn(line, ":=#\n\t");
		if (line[colon] != ':' || line[colon + 1] == '=' ||
		    (line[colon + 1] == ':' && line[colon + 2] == '='))
			continue;
		for (size_t at = 0; at < colon;) {
			at += strspn(line + at, " ");
			size_t word = strcspn(line + at, " :");
			if (word == 4 && memcmp(line + at, "test", 4) == 0)
				return true;
			at += word;
		}
	}
	return false;
}

static bool make_tests(const char *root)
{
	static const char *const names[] = {"GNUmakefile", "makefile", "Makefile"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *text = look(root, names[i]);
		if (text)
			return has_test_rule(text); /* make reads only the first it finds */
	}
	return false;
}

static bool npm_tests(const char *root)
{
	_cleanup_free_ char *text = look(root, "package.json");
	_cleanup_json_ json_t *package = text ? jsonl_parse(text, strlen(text), NULL) : NULL;
	const char *test = json_text(json_object_get(package, "scripts"), "test");
	/* What `npm init` writes is not a test. */
	return test && !strstr(test, "no test specified");
}

static bool mentions(const char *root, const char *name, const char *word)
{
	_cleanup_free_ char *text = look(root, name);
	return text && strstr(text, word);
}

static bool exists(const char *root, const char *name)
{
	_cleanup_free_ char *text = look(root, name);
	return text != NULL;
}

static bool pytest_tests(const char *root)
{
	return exists(root, "pytest.ini") || exists(root, "conftest.py") ||
	       exists(root, "tests/conftest.py") ||
	       mentions(root, "pyproject.toml", "[tool.pytest") ||
	       mentions(root, "setup.cfg", "[tool:pytest]") ||
	       mentions(root, "tox.ini", "[pytest]") ||
	       mentions(root, "pyproject.toml", "pytest") ||
	       mentions(root, "requirements-dev.txt", "pytest") ||
	       mentions(root, "requirements.txt", "pytest");
}

char *plan_detect_verify(const char *root)
{
	if (make_tests(root))
		return xstrdup("make test");
	if (exists(root, "Cargo.toml"))
		return xstrdup("cargo test");
	if (exists(root, "go.mod"))
		return xstrdup("go test ./...");
	if (npm_tests(root))
		return xstrdup("npm test");
	if (pytest_tests(root))
		return xstrdup("pytest");
	return NULL;
}
