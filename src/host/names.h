/* SPDX-License-Identifier: MIT */
/*
 * What the program finds of the system's tree under /dev and /sys.
 *
 * Each entry is there twice: as a struct host_name here, found by path, by last
 * component or by inode; and, where the program has a mount namespace of its own, as
 * a file in one of the covers, small file systems mounted over parts of /dev and /sys
 * (sandbox.c).  Entries come and go while the program runs.
 *
 * What a file of sysfs says for ever is written into it; all others, and every
 * device node, are empty shells whose open() is answered.
 */
#ifndef HOST_NAMES_H
#define HOST_NAMES_H

#include <stdatomic.h>
#include <sys/stat.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "core/tree.h"

struct host;

/**
 * struct host_cover - a directory of the program's that is ours; host_covers[] ends with NULL
 * @hide: names of the host's in there that are not shown; a prefix if it ends in *
 * @unless: covered only where this directory does not exist
 */
struct host_cover {
	const char *path;
	const char *const *hide;
	const char *unless;
};
extern const struct host_cover host_covers[];
#define HOST_COVERS 11

/**
 * struct host_name - one entry; freed with its last reference
 * @served: open() of it comes to us
 * @st: what fstat() of an open of it shows
 * @dev, @ino: of the file that stands for it in a cover; 0: there is none
 */
struct host_name {
	struct cds_list_head by_path, by_last, by_ino; /* under names.lock */
	_Atomic u32 refs;
	enum tree_kind kind;
	bool served;
	bool binary; /* an attribute read and written by position */
	mode_t mode;
	struct stat st;
	u64 dev, ino;
	char *target;	  /* of a link */
	const char *last; /* component of path */
	char path[];
};

#define NAMES_BUCKETS 1024

/**
 * struct names - all of them
 * @covers: descriptors of the covers, -1 where there is none; immutable once watching
 * @lock: leaf; not held over work in the file system
 */
struct names {
	struct tree_watcher watcher;
	struct host *host;
	struct mutex lock;
	struct cds_list_head paths[NAMES_BUCKETS] __guarded_by(&lock);
	struct cds_list_head lasts[NAMES_BUCKETS] __guarded_by(&lock);
	struct cds_list_head inos[NAMES_BUCKETS] __guarded_by(&lock);
	u64 serial __guarded_by(&lock); /* inode numbers of what has no file */
	int covers[HOST_COVERS];
};

/** names_start() - show @tree to the program, whose covers stand; 0 or -errno */
int names_start(struct host *host, struct tree *tree);
/** names_fini() - nobody watches the tree any more */
void names_fini(struct names *names);

/**
 * names_major() - the major number of the device nodes right in directory @dir (ends in /); 0: none
 */
unsigned int names_major(struct names *names, const char *dir);
/** names_maybe() - is there an entry whose last component this is? (may be gone at once) */
bool names_maybe(struct names *names, const char *last);
/** names_find_ino() - the entry a file of a cover stands for, counted, or NULL */
struct host_name *names_find_ino(struct names *names, u64 dev, u64 ino);
/**
 * names_find_path() - the entry an absolute path means, by its text and the tree's own links
 * @follow: also a link that comes last
 * Return: the entry, counted; NULL: none, and then *@ret_dir: a directory above one (may be NULL).
 */
struct host_name *names_find_path(struct names *names, const char *path, bool follow,
				  bool *ret_dir);
struct host_name *host_name_get(struct host_name *name);
/** host_name_put() - NULL is a no-op */
void host_name_put(struct host_name *name);

#endif
