/* SPDX-License-Identifier: MIT */
/*
 * A dma-buf as a descriptor: what an exporter hands to a program and the ioas
 * room finds again behind the number the program passes in.
 */
#ifndef CORE_DMABUF_FILE_H
#define CORE_DMABUF_FILE_H

#include "core/file.h"
#include "mem/dmabuf.h"

struct dmabuf_file {
	struct file file;
	struct dmabuf *dmabuf; /* counted, immutable */
};

/**
 * dmabuf_file_create() - a file for @dmabuf
 * @dmabuf: counted once more on success
 * @ret_file: one reference, for task_ops.fd_install() or file_put()
 * Return: 0 or -ENOMEM.
 */
int dmabuf_file_create(struct iommufd_system *system, struct dmabuf *dmabuf, int open_flags,
		       struct file **ret_file);

/** dmabuf_from_file() - the buffer behind @file, borrowed from it; NULL: it is no dma-buf */
struct dmabuf *dmabuf_from_file(struct file *file);

#endif
