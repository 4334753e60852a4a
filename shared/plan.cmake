# Plans and agents. `agents` holds agents.yaml as text and links no YAML; `plan` reads YAML
# into plans (for unit tests); pleach-plan.so is the same for the commands, which load it
# through `plan_load` only when they read a file.
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_CURRENT_LIST_DIR}/agents.yaml)
file(READ ${CMAKE_CURRENT_LIST_DIR}/agents.yaml agents_hex HEX)
string(REGEX REPLACE "(..)" "'\\\\x\\1'," agents_bytes "${agents_hex}")
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/agents_text.c @ONLY CONTENT
"/* Made of shared/agents.yaml. */
extern const char agents_text[];
const char agents_text[] = {@agents_bytes@'\\0'};
")
add_library(agents STATIC agents.c ${CMAKE_CURRENT_BINARY_DIR}/agents_text.c)
target_link_libraries(agents PUBLIC shared)

add_library(plan STATIC
  plan.c plan_agent_entry.c plan_agents.c plan_budget.c plan_choose.c plan_config.c plan_detect.c plan_each.c plan_fields.c plan_graph.c
  plan_landing.c plan_options.c plan_permissions.c plan_prompt.c
  plan_source.c plan_tasks.c plan_values.c yaml.c)
target_link_libraries(plan PUBLIC agents PRIVATE PkgConfig::FYAML)

add_library(plan_load STATIC plan_load.c)
target_link_libraries(plan_load PUBLIC shared ${CMAKE_DL_LIBS})

set_target_properties(agents plan PROPERTIES
  POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)

add_library(pleach-plan MODULE plan_module.c)
target_link_libraries(pleach-plan PRIVATE plan)
set_target_properties(pleach-plan PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden)
target_link_options(pleach-plan PRIVATE -Wl,--exclude-libs,ALL)
install(TARGETS pleach-plan LIBRARY DESTINATION lib/pleach)
