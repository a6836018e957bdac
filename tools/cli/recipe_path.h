#pragma once

#include <string>
#include <vector>

namespace previt::cli {

/// Folders with recipes, those that win first: $PREVIT_RECIPES, what is installed beside the
/// program (share/previt/recipes), and the source tree that the program was built in.
std::vector<std::string> recipe_folders();

/// The file that `name` means: a file, else one of recipe_folders(), named with or without its
/// folder and ".yaml"; of several in different folders, the quickstart's. Throws UsageError where
/// there is none, with the nearest name, or several and none of the quickstart.
std::string find_recipe(const std::string& name);

/// The names of all recipes in recipe_folders(), each with the program that takes it and the first
/// sentence of its file.
std::string recipe_list();

}  // namespace previt::cli
