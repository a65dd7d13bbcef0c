/* SPDX-License-Identifier: MIT */
/*
 * Buffers of device memory that an exporter shares by descriptor: one physical
 * range that its exporter may take back at any time (revoke).  Importers are
 * told and must have dropped every use when their callback returns.
 *
 * Locks: dmabuf.lock guards the importer list and the revoked flag and is held
 * over the importers' callbacks, so an importer may take its own locks below
 * it, and must not hold those when it calls in.
 */
#ifndef MEM_DMABUF_H
#define MEM_DMABUF_H

#include <urcu/list.h>

#include "base/lock.h"
#include "mem/mem.h"

struct dmabuf;

/** struct dmabuf_importer - embedded by whoever maps the buffer */
struct dmabuf_importer {
	struct cds_list_head node;         /* dmabuf.importers, under dmabuf.lock */
	void (*revoked)(struct dmabuf_importer *importer); /* lock held; must not call back in */
};

/** dmabuf_create() - wrap [@pa, @pa + @size); @release gets @data when the last user is gone */
int dmabuf_create(u64 pa, u64 size, void (*release)(void *data), void *data,
		  struct dmabuf **ret_dmabuf);
struct dmabuf *dmabuf_get(struct dmabuf *dmabuf);
void dmabuf_put(struct dmabuf *dmabuf);
u64 dmabuf_size(const struct dmabuf *dmabuf);
u64 dmabuf_pa(const struct dmabuf *dmabuf);

/** dmabuf_attach() - start importing; 0 or -ENODEV while revoked */
int dmabuf_attach(struct dmabuf *dmabuf, struct dmabuf_importer *importer);
void dmabuf_detach(struct dmabuf *dmabuf, struct dmabuf_importer *importer);

/** dmabuf_revoke() - set or clear the flag; either way every existing import is invalidated */
void dmabuf_revoke(struct dmabuf *dmabuf, bool revoked);

#endif
