/* SPDX-License-Identifier: MIT */
/* The covers from outside: the supervisor's hands in the program's /dev and /sys; see covers.c. */
#ifndef HOST_COVERS_H
#define HOST_COVERS_H

#include "host/names.h"

/** covers_open() - of the program, which has mounted them and waits; 0 or -errno */
int covers_open(struct names *names);
void covers_close(struct names *names);
/** cover_add() - make the file of @name and set its dev, ino and st; 0 or -errno */
int cover_add(struct names *names, struct host_name *name, const struct tree_entry *entry);
/** cover_remove() - the reverse, and the directories above that are empty then */
void cover_remove(struct names *names, const struct host_name *name);

#endif
