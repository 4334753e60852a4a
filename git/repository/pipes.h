/* Named pipes in a working tree, where git has files of its own: `.gitignore` and the like. git
 * opens them and waits for somebody to write, for ever. */
#ifndef PLEACH_GIT_PIPES_H
#define PLEACH_GIT_PIPES_H

#define PIPES_LOOK_MS 2000 /* a git that runs so long may stand before one */

/* Lets go whoever stands before such a pipe anywhere below the directory, and removes the pipe:
 * there is nothing in it, and git could not keep it. Repositories in it are passed over. */
void pipes_remove(const char *dir);

/* The same for the files of the repository itself (its common directory): cheap, so before anything
 * of it is read. The git library would wait in our own process. */
void pipes_remove_own(const char *common_dir);

#endif
