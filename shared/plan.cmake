# Plans and agents. `agents` knows the agent programs and links no YAML; `plan` reads YAML
# into plans (for unit tests); pleach-plan.so is the same for the commands, which load it
# through `plan_load` only when they read a file.
add_library(agents STATIC agents.c)
target_link_libraries(agents PUBLIC shared)

add_library(plan STATIC
  plan.c plan_agents.c plan_budget.c plan_choose.c plan_config.c plan_detect.c plan_each.c plan_fields.c plan_graph.c
  plan_landing.c plan_options.c plan_prompt.c
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
