# Generates builtin_config.cpp: configs/tiny.toml inside the program, for runs without a config file.

set(ANEMONE_BUILTIN_CONFIG_SOURCE ${PROJECT_BINARY_DIR}/generated/builtin_config.cpp)
file(READ ${PROJECT_SOURCE_DIR}/configs/tiny.toml ANEMONE_BUILTIN_CONFIG)
configure_file(${PROJECT_SOURCE_DIR}/anemone/train/builtin_config.cpp.in
  ${ANEMONE_BUILTIN_CONFIG_SOURCE} @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/configs/tiny.toml)
