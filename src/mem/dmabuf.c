/* SPDX-License-Identifier: MIT */
/*
 * Shared buffers of device memory: a reference count, a list of importers, and
 * a flag that says whether the exporter has taken the memory back.
 */
#include <stdatomic.h>

#include "base/alloc.h"
#include "mem/dmabuf.h"

struct dmabuf {
	u64 pa;                              /* immutable, as are the next three */
	u64 size;
	void (*release)(void *data);
	void *data;
	_Atomic u64 refs;
	struct mutex lock;
	struct cds_list_head importers;      /* under lock */
	bool revoked;                        /* under lock */
};

int dmabuf_create(u64 pa, u64 size, void (*release)(void *data), void *data,
		  struct dmabuf **ret_dmabuf)
{
	struct dmabuf *dmabuf = zalloc(sizeof(*dmabuf));

	if (!dmabuf)
		return -ENOMEM;
	dmabuf->pa = pa;
	dmabuf->size = size;
	dmabuf->release = release;
	dmabuf->data = data;
	atomic_init(&dmabuf->refs, 1);
	mutex_init(&dmabuf->lock);
	CDS_INIT_LIST_HEAD(&dmabuf->importers);
	*ret_dmabuf = dmabuf;
	return 0;
}

struct dmabuf *dmabuf_get(struct dmabuf *dmabuf)
{
	atomic_fetch_add_explicit(&dmabuf->refs, 1, memory_order_relaxed);
	return dmabuf;
}

void dmabuf_put(struct dmabuf *dmabuf)
{
	if (!dmabuf || atomic_fetch_sub_explicit(&dmabuf->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (dmabuf->release)
		dmabuf->release(dmabuf->data);
	mutex_destroy(&dmabuf->lock);
	free(dmabuf);
}

u64 dmabuf_size(const struct dmabuf *dmabuf)
{
	return dmabuf->size;
}

u64 dmabuf_pa(const struct dmabuf *dmabuf)
{
	return dmabuf->pa;
}

int dmabuf_attach(struct dmabuf *dmabuf, struct dmabuf_importer *importer)
{
	int rc = 0;

	mutex_lock(&dmabuf->lock);
	if (dmabuf->revoked)
		rc = -ENODEV;
	else
		cds_list_add_tail(&importer->node, &dmabuf->importers);
	mutex_unlock(&dmabuf->lock);
	return rc;
}

void dmabuf_detach(struct dmabuf *dmabuf, struct dmabuf_importer *importer)
{
	mutex_lock(&dmabuf->lock);
	cds_list_del(&importer->node);
	mutex_unlock(&dmabuf->lock);
}

void dmabuf_revoke(struct dmabuf *dmabuf, bool revoked)
{
	struct dmabuf_importer *importer;

	mutex_lock(&dmabuf->lock);
	dmabuf->revoked = revoked;
	cds_list_for_each_entry(importer, &dmabuf->importers, node)
		importer->revoked(importer);
	mutex_unlock(&dmabuf->lock);
}
