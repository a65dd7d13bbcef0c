/* SPDX-License-Identifier: MIT */
/*
 * Accesses: users of an ioas inside the library (emulated devices, hw queues):
 * pin, read, write, and be told before memory goes away.  Public contract in
 * <iommufd/access.h>.
 */
#ifndef IOAS_ACCESS_H
#define IOAS_ACCESS_H

#include <iommufd/access.h>

#include "core/object.h"
#include "ioas/ioas.h"

/**
 * struct iommufd_access - the object
 * @ioas_lock: attach state; taken before any iopt lock
 * @ioas: attached to, counted; NULL none
 * @ioas_unpin: where pins still live while a detach runs its callback
 * @iopt_access_list_id: slot in iopt->access_list
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	const struct iommufd_access_ops *ops;
	void *data;
	u64 iova_alignment;
	bool internal;
	struct mutex ioas_lock;
	struct iommufd_ioas *ioas __guarded_by(&ioas_lock);
	struct iommufd_ioas *ioas_unpin __guarded_by(&ioas_lock);
	u32 iopt_access_list_id;
};

void access_destroy_object(struct iommufd_object *obj);
/**
 * access_create_internal() - for hw queues: holds no ctx reference, locks areas it pins, gets no
 * callback
 */
int access_create_internal(struct iommufd_ctx *ctx, struct iommufd_access **ret_access);
int access_attach_internal(struct iommufd_access *access, struct iommufd_ioas *ioas);
void access_destroy_internal(struct iommufd_ctx *ctx, struct iommufd_access *access);

#endif
