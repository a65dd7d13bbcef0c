/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU: the one the kernel's own tests of iommufd want, with its
 * half-size pages, its small aperture and its windows for looking inside.
 * Made by iommufd_mock_init() and driven by IOMMU_TEST_CMD.
 */
#ifndef MODELS_MOCK_MOCK_H
#define MODELS_MOCK_MOCK_H

#include <iommufd/mock.h>

#include <iommufd/driver.h>
#include <iommufd/uapi/iommufd_test.h>
#include <iommufd/viommu.h>

#include "core/object.h"
#include "core/system.h"
#include "models/pt_domain.h"

struct iommufd_device;
struct iommufd_ucmd;

/** struct mock_iommu - the one instance of a system */
struct mock_iommu {
	struct iommu_device iommu_dev;
	struct iopf_queue *iopf_queue;
	struct iommufd_system *system;
	_Atomic u32 next_dev; /* for names only */
};

/**
 * struct mock_dev - a device behind it
 * @flags: MOCK_FLAGS_DEVICE_*
 * @cache: words in place of an ATS cache; guests zero them while tests look
 * @viommu_lock: write: the device moves between domains; read: an event of it is reported
 * @viommu, @virt_id: whose nested domain the RID is in, and what the device is called there; NULL
 *	none
 * @fault_domains: how many it is in, RID and PASIDs, have a fault queue; under the group's lock
 * @pasid_1024_fails: the next attach at IOMMU_TEST_PASID_RESERVED does; under the group's lock
 */
struct mock_dev {
	struct device dev;
	struct mock_iommu *mock;
	u32 flags;
	_Atomic u32 cache[MOCK_DEV_CACHE_NUM];
	struct rwlock viommu_lock;
	struct mock_viommu *viommu __guarded_by(&viommu_lock);
	unsigned long virt_id __guarded_by(&viommu_lock);
	u32 fault_domains;
	bool pasid_1024_fails;
	char name[32];
};

/**
 * struct mock_domain - a paging domain
 * @tracking: dirty tracking is on
 */
struct mock_domain {
	struct pt_domain base;
	struct mock_iommu *mock;
	_Atomic bool tracking;
};

/**
 * struct mock_nested - a guest's tables: nothing but words in place of an IOTLB
 * @viommu: that made it; NULL: made on the parent directly
 */
struct mock_nested {
	struct iommu_domain domain;
	struct mock_viommu *viommu;
	_Atomic u32 iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

struct mock_hw_queue;

/**
 * struct mock_viommu - a guest's slice of the mock
 * @parent: the nesting parent's domain
 * @page, @mmap_offset: what the program may map; NULL without data
 * @queues: by index, under @queue_lock, which also orders their making and ending
 */
struct mock_viommu {
	struct iommufd_viommu core;
	struct mock_domain *parent;
	void *page;
	unsigned long mmap_offset;
	struct mutex queue_lock;
	struct mock_hw_queue *queues[IOMMU_TEST_HW_QUEUE_MAX] __guarded_by(&queue_lock);
};

extern const struct iommu_ops mock_iommu_ops;
extern const struct iommu_domain_ops mock_domain_ops;

static inline struct mock_dev *to_mock_dev(struct device *dev)
{
	return container_of(dev, struct mock_dev, dev);
}

static inline struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, base.domain);
}

static inline struct mock_nested *to_mock_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_nested, domain);
}


int mock_dev_create(struct mock_iommu *mock, u32 flags, struct mock_dev **ret_mdev);
void mock_dev_destroy(struct mock_dev *mdev);

struct iommu_domain *mock_domain_alloc_paging_flags(struct device *dev, u32 flags,
						    const struct iommu_user_data *user_data);
int mock_domain_attach_dev(struct iommu_domain *domain, struct device *dev,
			   struct iommu_domain *old);
int mock_domain_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			      struct iommu_domain *old);
/** mock_domain_set_dirty() - as a device writing at @iova would; -ENOENT nothing is mapped there */
int mock_domain_set_dirty(struct mock_domain *mock, u64 iova);

/**
 * mock_faults_move() - report page requests as long as any domain wants them
 * @from: may be NULL
 * Context: the group's lock is held.  Return: 0, -ENOMEM (nothing has changed).
 */
int mock_faults_move(struct mock_dev *mdev, struct iommu_domain *to, struct iommu_domain *from);
void mock_page_response(struct device *dev, struct iopf_fault *fault,
			struct iommu_page_response *response);

/* nested.c */
extern const struct iommu_domain_ops mock_nested_ops;
struct iommu_domain *mock_domain_alloc_nested(struct device *dev, struct iommu_domain *parent,
					      u32 flags, const struct iommu_user_data *user_data);
/** mock_nested_alloc() - for either way; @viommu may be NULL */
struct iommu_domain *mock_nested_alloc(struct mock_viommu *viommu, u32 flags,
				       const struct iommu_user_data *user_data);

/* viommu.c */
size_t mock_get_viommu_size(struct device *dev, enum iommu_viommu_type viommu_type);
int mock_viommu_init(struct iommufd_viommu *viommu, struct iommu_domain *parent_domain,
		     const struct iommu_user_data *user_data);

/* ---- IOMMU_TEST_CMD, by what it is about ---- */

/** typedef mock_op_fn - one operation; the table is in test_cmd.c */
typedef int (*mock_op_fn)(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);

int mock_test_cmd(struct iommufd_ucmd *ucmd);
/* fault.c */
int mock_op_trigger_iopf(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
/* test_device.c */
int mock_op_domain(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_domain_flags(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_domain_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_pasid_attach(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_pasid_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_pasid_detach(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_pasid_check(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
/* test_viommu.c */
int mock_op_check_iotlb(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_dev_check_cache(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_trigger_vevent(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
/* test_memory.c */
int mock_op_add_reserved(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_check_map(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_check_refs(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_memory_limit(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_dirty(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
/* test_access.c */
int mock_op_create_access(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_destroy_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_access_rw(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_access_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
/* test_dmabuf.c */
int mock_op_dmabuf_get(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);
int mock_op_dmabuf_revoke(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd);

#endif
