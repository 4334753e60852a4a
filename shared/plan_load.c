/* Loads pleach-plan.so for the commands that read YAML, and for nobody else. */
#include <dlfcn.h>
#include <unistd.h>

#include "mem.h"
#include "plan.h"
#include "proc.h"

const struct plan_module *plan_module_load(struct error *err)
{
	static const char *const places[] = {".", "../lib/pleach", "../libexec/pleach"};
	static const struct plan_module *module;
	if (module)
		return module;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_free_ char *path =
		    xasprintf("%s/%s/pleach-plan.so", proc_own_dir(), places[i]);
		if (access(path, R_OK))
			continue;
		void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		const struct plan_module *found = handle ? dlsym(handle, PLAN_MODULE_SYMBOL) : NULL;
		if (!found) {
			const char *why = dlerror();
			error_set(err, ERROR_EXTERNAL, "cannot load %s: %s", path,
			          why ? why : "it holds no reader");
			return NULL;
		}
		if (found->version != PLAN_MODULE_VERSION) {
			error_set(err, ERROR_EXTERNAL,
			          "%s is of another version (install pleach again)", path);
			return NULL;
		}
		module = found;
		return module;
	}
	error_set(err, ERROR_EXTERNAL, "pleach-plan.so is missing beside %s (install pleach again)",
	          proc_own_dir());
	return NULL;
}
