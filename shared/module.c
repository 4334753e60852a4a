/* Modules: found beside the program, loaded once, checked for their version. */
#include "module.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "proc.h"

const void *module_load(const char *file, const char *symbol, unsigned version, struct error *err)
{
	static const char *const places[] = {".", "../lib/pleach", "../libexec/pleach"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/%s", proc_own_dir(), places[i], file);
		const unsigned *found;
		void *library;

		if (access(path, R_OK) != 0)
			continue;
		library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		found = library ? dlsym(library, symbol) : NULL;
		if (found && *found == version)
			return found;
		error_set(err, ERROR_EXTERNAL, "cannot load %s: %s (install pleach again)", path,
		          found ? "it is of another version" : dlerror());
		return NULL;
	}
	error_set(err, ERROR_EXTERNAL, "%s is missing beside %s (install pleach again)", file,
	          proc_own_dir());
	return NULL;
}
