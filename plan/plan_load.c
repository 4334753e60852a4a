/* Loads pleach-plan.so for the commands that read YAML, and for nobody else. */
#include "module.h"
#include "plan.h"

const struct plan_module *plan_module_load(struct error *err)
{
	static const struct plan_module *module;

	if (!module)
		module =
		    module_load("pleach-plan.so", PLAN_MODULE_SYMBOL, PLAN_MODULE_VERSION, err);
	return module;
}
