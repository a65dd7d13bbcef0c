/* SPDX-License-Identifier: MIT */
/*
 * An open attribute.  Reading at position 0 asks the attribute; what it said is
 * read on from there.  When the attribute goes, its open files stay and say ENODEV.
 */
#include <string.h>

#include "base/alloc.h"
#include "core/system.h"
#include "core/tree_priv.h"
#include "mem/task.h"

/**
 * struct tree_file - an attribute, opened
 * @node: in tree->files, @entry: NULL once it has gone; under tree->lock
 * @binary: the entry has read_at()
 * @text: what show() said, TREE_TEXT_MAX bytes of which @len count; NULL: not asked yet
 */
struct tree_file {
	struct file file;
	struct cds_list_head node;
	struct tree_entry *entry;
	bool binary; /* immutable */
	struct mutex lock;
	char *text __guarded_by(&lock);
	size_t len __guarded_by(&lock);
};

static struct tree_file *to_tree_file(struct file *file)
{
	return container_of(file, struct tree_file, file);
}

/* Inside an op of the entry, if it is still there. */
static bool file_op_begin(struct tree_file *tf, struct tree_op *op)
{
	struct tree *tree = &tf->file.system->tree;
	bool there;

	mutex_lock(&tree->lock);
	there = tf->entry != NULL;
	if (there)
		tree_op_begin(tf->entry, op);
	mutex_unlock(&tree->lock);
	return there;
}

/* ---- reading ---- */

static int file_show(struct tree_file *tf)
{
	char *text, *old;
	struct tree_op op;
	ssize_t len;

	text = zalloc(TREE_TEXT_MAX);
	if (!text)
		return -ENOMEM;
	if (!file_op_begin(tf, &op)) {
		free(text);
		return -ENODEV;
	}
	len = op.entry->show(op.entry, text);
	tree_op_end(&tf->file.system->tree, &op);
	if (len < 0) {
		free(text);
		return (int)len;
	}
	mutex_lock(&tf->lock);
	old = tf->text;
	tf->text = text;
	tf->len = MIN((size_t)len, (size_t)TREE_TEXT_MAX);
	mutex_unlock(&tf->lock);
	free(old);
	return 0;
}

static bool file_shown(struct tree_file *tf)
{
	bool shown;

	mutex_lock(&tf->lock);
	shown = tf->text != NULL;
	mutex_unlock(&tf->lock);
	return shown;
}

static ssize_t read_text(struct tree_file *tf, char *buf, size_t count, u64 pos)
{
	size_t n = 0;
	int rc = 0;

	if (!pos || !file_shown(tf))
		rc = file_show(tf);
	if (rc)
		return rc;
	mutex_lock(&tf->lock);
	if (pos < tf->len) {
		n = MIN(count, tf->len - (size_t)pos);
		memcpy(buf, tf->text + pos, n);
	}
	mutex_unlock(&tf->lock);
	return (ssize_t)n;
}

static ssize_t read_binary(struct tree_file *tf, char *buf, size_t count, u64 pos)
{
	struct tree_op op;
	ssize_t n;

	if (!file_op_begin(tf, &op))
		return -ENODEV;
	n = op.entry->read_at(op.entry, buf, count, pos);
	tree_op_end(&tf->file.system->tree, &op);
	return n;
}

static ssize_t tree_file_pread(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	struct tree_file *tf = to_tree_file(file);
	char buf[TREE_TEXT_MAX];
	ssize_t n;

	if ((file->open_flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	count = MIN(count, sizeof(buf));
	n = tf->binary ? read_binary(tf, buf, count, pos) : read_text(tf, buf, count, pos);
	if (n > 0 && copy_to_user(ubuf, buf, (size_t)n))
		return -EFAULT;
	return n;
}

/* ---- writing ---- */

static ssize_t tree_file_pwrite(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	struct tree_file *tf = to_tree_file(file);
	char text[TREE_TEXT_MAX + 1];
	struct tree_op op;
	ssize_t rc;

	if ((file->open_flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	count = MIN(count, sizeof(text) - 1);
	if (copy_from_user(text, ubuf, count))
		return -EFAULT;
	text[count] = 0;
	if (!file_op_begin(tf, &op))
		return -ENODEV;
	if (op.entry->write_at) {
		rc = op.entry->write_at(op.entry, text, count, pos);
	} else {
		rc = op.entry->store(op.entry, text, count);
		rc = rc ? rc : (ssize_t)count;
	}
	tree_op_end(&file->system->tree, &op);
	return rc;
}

/* ---- life ---- */

static void tree_file_release(struct file *file)
{
	struct tree_file *tf = to_tree_file(file);
	struct tree *tree = &file->system->tree;

	mutex_lock(&tree->lock);
	cds_list_del(&tf->node);
	mutex_unlock(&tree->lock);
	mutex_destroy(&tf->lock);
	free(tf->text);
	free(tf);
}

static const struct file_ops tree_file_ops = {
	.name = "sysfs",
	.pread = tree_file_pread,
	.pwrite = tree_file_pwrite,
	.release = tree_file_release,
};

int tree_file_create(struct iommufd_system *system, struct tree_entry *entry, int open_flags,
		     struct file **ret_file)
{
	struct tree *tree = &system->tree;
	struct tree_file *tf;

	tf = zalloc(sizeof(*tf));
	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, &tree_file_ops, system, open_flags);
	mutex_init(&tf->lock);
	tf->binary = entry->read_at;
	mutex_lock(&tree->lock);
	/* The caller keeps its memory, but not its place in the tree. */
	tf->entry = entry->added ? entry : NULL;
	cds_list_add(&tf->node, &tree->files);
	mutex_unlock(&tree->lock);
	*ret_file = &tf->file;
	return 0;
}

void tree_files_forget(struct tree *tree, struct tree_entry *entry)
{
	struct tree_file *tf;

	mutex_assert_held(&tree->lock);
	cds_list_for_each_entry (tf, &tree->files, node)
		if (tf->entry == entry)
			tf->entry = NULL;
}
