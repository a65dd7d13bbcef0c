/* SPDX-License-Identifier: MIT */
/*
 * The file names of a machine: what its programs find of it under /dev and /sys.
 * The rooms that own devices add and remove entries; the ways in show them, each
 * in its own manner, and open what is opened.
 */
#ifndef CORE_TREE_H
#define CORE_TREE_H

#include <sys/types.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "core/file.h"

#define TREE_TEXT_MAX 4096

/** enum tree_kind - directories above an entry come and go by themselves */
enum tree_kind {
	TREE_NODE, /* a character device */
	TREE_ATTR, /* a file of sysfs */
	TREE_LINK, /* a symbolic link */
	TREE_DIR,  /* a directory with nothing in it (yet) */
};

/**
 * struct tree_entry - one name; embedded by its owner
 * @path: absolute, below /dev or /sys, without . or ..; the owner's, unchanged while it is added
 * @mode: permission bits
 * @major, @minor: of a node
 * @open: of a node: make the file behind one open(); several threads at once
 * @target: of a link: its text; unchanged while it is added
 * @show: of an attribute: its bytes into @buf of TREE_TEXT_MAX; length or -errno.  Missing: not
 *	readable
 * @store: of an attribute: a write of @len bytes (NUL-terminated besides); 0 or -errno.  Missing:
 *	not writable
 * @read_at, @write_at: of a binary attribute, instead of @show and @store: at most TREE_TEXT_MAX
 *	bytes from position @pos on; how many, or -errno
 * @size: of an attribute, as stat() shows it; 0: a page, as sysfs does
 * @constant: @show gives the same bytes each time
 * @node: in tree->entries, under tree->lock
 *
 * Context of the ops: no lock of the tree is held; an entry being removed may still be inside
 * one until tree_remove() returns, and an op may itself add and remove other entries.
 */
struct tree_entry {
	const char *path;
	enum tree_kind kind;
	mode_t mode;
	u32 major, minor;
	int (*open)(struct tree_entry *entry, int open_flags, struct file **ret_file);
	const char *target;
	ssize_t (*show)(struct tree_entry *entry, char *buf);
	int (*store)(struct tree_entry *entry, const char *text, size_t len);
	ssize_t (*read_at)(struct tree_entry *entry, void *buf, size_t len, u64 pos);
	ssize_t (*write_at)(struct tree_entry *entry, const void *buf, size_t len, u64 pos);
	u64 size;
	bool constant;

	struct cds_list_head node;
	u32 users;  /* ops being run, under tree->lock */
	bool added; /* likewise */
};

/**
 * struct tree_watcher - a way in that shows the tree
 * @added: an entry is there (at tree_watch() time: for each that is there already)
 * @removed: it is going; nothing of it may be used after the return
 * Context: one call at a time (tree->watch_lock is held): add and remove nothing inside.
 */
struct tree_watcher {
	void (*added)(struct tree_watcher *watcher, const struct tree_entry *entry);
	void (*removed)(struct tree_watcher *watcher, const struct tree_entry *entry);
};

/**
 * struct tree - of one system
 * @watch_lock: outermost; adding and removing, one at a time
 * @lock: innermost; look-ups
 * @files: open attributes
 */
struct tree {
	struct mutex watch_lock;
	struct mutex lock;
	pthread_cond_t idle; /* users of a removed entry became 0; with lock */
	struct cds_list_head entries __guarded_by(&lock);
	struct cds_list_head files __guarded_by(&lock);
	struct tree_watcher *watcher __guarded_by(&watch_lock);
};

void tree_init(struct tree *tree);
/** tree_fini() - all entries are removed */
void tree_fini(struct tree *tree);

/** tree_add() - Return: 0, -EEXIST the path is taken */
int tree_add(struct tree *tree, struct tree_entry *entry);
/**
 * tree_remove() - when it returns no op of it runs (but one that called this, on this thread)
 * Idempotent, also for one that was never added.
 * Context: no lock that an op of it takes, and none at all that is held over tree_add().
 */
void tree_remove(struct tree *tree, struct tree_entry *entry);

/** tree_watch() - one watcher; NULL ends it */
void tree_watch(struct tree *tree, struct tree_watcher *watcher);

/**
 * tree_open() - open a node, or an attribute
 * @path: as it was added (the caller has resolved links)
 * An attribute is a file with a position: what show() gave when position 0 was read, and each write
 * is a store() of its own.
 * Return: 0, -ENOENT no such entry, -ENXIO a directory or link, -EACCES not readable or
 * writable so, -ENOMEM, the op's errno.
 */
int tree_open(struct iommufd_system *system, const char *path, int open_flags,
	      struct file **ret_file);

#endif
