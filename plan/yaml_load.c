/* Loads pleach-yaml.so once there is something to read that was not read lately. */
#include "module.h"
#include "yaml_event.h"

int yaml_read_events(const char *name, const char *data, size_t len, yaml_take *take, void *context,
                     struct error *err)
{
	const struct yaml_module *module =
	    module_load(YAML_MODULE_FILE, YAML_MODULE_SYMBOL, YAML_MODULE_VERSION, err);

	return module ? module->read_events(name, data, len, take, context, err) : -1;
}
