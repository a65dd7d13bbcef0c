/* SPDX-License-Identifier: MIT */
/*
 * What tree.c and tree_file.c share.
 */
#ifndef CORE_TREE_PRIV_H
#define CORE_TREE_PRIV_H

#include <fcntl.h>

#include "core/tree.h"

/**
 * struct tree_op - an op that is being run, on its thread's stack
 * @gone: it has removed the entry
 */
struct tree_op {
	struct tree_entry *entry;
	struct tree_op *outer;
	bool gone;
};

/** tree_op_begin() - under tree->lock, which is then let go of; tree_op_end() in the same function
 */
void tree_op_begin(struct tree_entry *entry, struct tree_op *op);
void tree_op_end(struct tree *tree, struct tree_op *op);

/** tree_file_create() - an attribute, opened; the caller is inside an op of it.  0, -ENODEV,
 * -ENOMEM */
int tree_file_create(struct iommufd_system *system, struct tree_entry *entry, int open_flags,
		     struct file **ret_file);
/** tree_files_forget() - @entry goes; under tree->lock */
void tree_files_forget(struct tree *tree, struct tree_entry *entry);

#endif
