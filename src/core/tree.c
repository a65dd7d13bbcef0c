/* SPDX-License-Identifier: MIT */
/*
 * The file names of a machine.  An op of an entry runs with no lock held, so
 * an entry counts who is inside one, and removing it waits for them; who
 * removes an entry from inside its own op is not waited for, and nothing of the entry
 * is touched after that op has returned.
 */
#include "core/tree.h"

#include <string.h>

#include "core/system.h"
#include "core/tree_priv.h"

/* The ops this thread is inside of, the innermost first. */
static __thread struct tree_op *op_current;

void tree_init(struct tree *tree)
{
	mutex_init(&tree->watch_lock);
	mutex_init(&tree->lock);
	pthread_cond_init(&tree->idle, NULL);
	CDS_INIT_LIST_HEAD(&tree->entries);
	CDS_INIT_LIST_HEAD(&tree->files);
}

void tree_fini(struct tree *tree)
{
	assert(cds_list_empty(&tree->entries) && cds_list_empty(&tree->files));
	pthread_cond_destroy(&tree->idle);
	mutex_destroy(&tree->lock);
	mutex_destroy(&tree->watch_lock);
}

/* ---- look-ups ---- */

static struct tree_entry *tree_find(struct tree *tree, const char *path) __must_hold(&tree->lock)
{
	struct tree_entry *entry;

	cds_list_for_each_entry (entry, &tree->entries, node)
		if (!strcmp(entry->path, path))
			return entry;
	return NULL;
}

void tree_op_begin(struct tree_entry *entry, struct tree_op *op)
{
	entry->users++;
	*op = (struct tree_op){.entry = entry, .outer = op_current};
	op_current = op;
}

void tree_op_end(struct tree *tree, struct tree_op *op)
{
	op_current = op->outer;
	mutex_lock(&tree->lock);
	/* Removed by the op itself, it may not even be memory any more. */
	if (!op->gone && !--op->entry->users && !op->entry->added)
		pthread_cond_broadcast(&tree->idle);
	mutex_unlock(&tree->lock);
}

/* ---- adding and removing ---- */

int tree_add(struct tree *tree, struct tree_entry *entry)
{
	int rc = 0;

	mutex_lock(&tree->watch_lock);
	mutex_lock(&tree->lock);
	entry->users = 0;
	entry->added = !tree_find(tree, entry->path);
	if (entry->added)
		cds_list_add_tail(&entry->node, &tree->entries);
	else
		rc = -EEXIST;
	mutex_unlock(&tree->lock);
	if (!rc && tree->watcher)
		tree->watcher->added(tree->watcher, entry);
	mutex_unlock(&tree->watch_lock);
	return rc;
}

/* Calls of this thread that are inside @entry: they are told, and not waited for. */
static u32 ops_leave(const struct tree_entry *entry)
{
	struct tree_op *op;
	u32 mine = 0;

	for (op = op_current; op; op = op->outer) {
		if (op->entry != entry || op->gone)
			continue;
		op->gone = true;
		mine++;
	}
	return mine;
}

static bool tree_take_out(struct tree *tree, struct tree_entry *entry)
{
	bool mine;

	mutex_lock(&tree->lock);
	mine = entry->added;
	if (mine) {
		entry->added = false;
		cds_list_del(&entry->node);
		tree_files_forget(tree, entry);
	}
	mutex_unlock(&tree->lock);
	return mine;
}

void tree_remove(struct tree *tree, struct tree_entry *entry)
{
	mutex_lock(&tree->watch_lock);
	if (!tree_take_out(tree, entry)) {
		mutex_unlock(&tree->watch_lock);
		return;
	}
	if (tree->watcher)
		tree->watcher->removed(tree->watcher, entry);
	mutex_unlock(&tree->watch_lock);

	mutex_lock(&tree->lock);
	entry->users -= ops_leave(entry);
	while (entry->users)
		mutex_wait(&tree->lock, &tree->idle);
	mutex_unlock(&tree->lock);
}

void tree_watch(struct tree *tree, struct tree_watcher *watcher)
{
	struct tree_entry *entry;

	/* The list does not change under watch_lock, so the calls need no other. */
	mutex_lock(&tree->watch_lock);
	tree->watcher = watcher;
	if (watcher)
		cds_list_for_each_entry (entry, &tree->entries, node)
			watcher->added(watcher, entry);
	mutex_unlock(&tree->watch_lock);
}

/* ---- opening ---- */

/* What sysfs asks of an open: a right, and somebody who serves it. */
static int attr_check(const struct tree_entry *entry, int open_flags)
{
	int access = open_flags & O_ACCMODE;
	bool reads = entry->show || entry->read_at, writes = entry->store || entry->write_at;

	if (access != O_WRONLY && !(reads && entry->mode & 0444))
		return -EACCES;
	if (access != O_RDONLY && !(writes && entry->mode & 0222))
		return -EACCES;
	return 0;
}

static int node_open(struct tree *tree, struct tree_op *op, int open_flags, struct file **ret_file)
{
	int rc = op->entry->open(op->entry, open_flags, ret_file);

	tree_op_end(tree, op);
	return rc;
}

int tree_open(struct iommufd_system *system, const char *path, int open_flags,
	      struct file **ret_file)
{
	struct tree *tree = &system->tree;
	struct tree_entry *entry;
	struct tree_op op;
	int rc;

	mutex_lock(&tree->lock);
	entry = tree_find(tree, path);
	if (!entry)
		rc = -ENOENT;
	else if (entry->kind == TREE_ATTR)
		rc = attr_check(entry, open_flags);
	else
		rc = entry->kind == TREE_NODE ? 0 : -ENXIO;
	if (!rc)
		tree_op_begin(entry, &op);
	mutex_unlock(&tree->lock);
	if (rc)
		return rc;
	if (op.entry->kind == TREE_NODE)
		return node_open(tree, &op, open_flags, ret_file);
	rc = tree_file_create(system, op.entry, open_flags, ret_file);
	tree_op_end(tree, &op);
	return rc;
}
