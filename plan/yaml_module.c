/* pleach-yaml.so: yaml_reader.c behind one symbol. */
#include "yaml_event.h"

extern const struct yaml_module pleach_yaml_module;

__attribute__((visibility("default"))) const struct yaml_module pleach_yaml_module = {
    .version = YAML_MODULE_VERSION,
    .read_events = yaml_read_events,
};
