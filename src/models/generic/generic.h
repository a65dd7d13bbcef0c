/* SPDX-License-Identifier: MIT */
/*
 * The generic IOMMU, and how a model is written: two parts that share nothing but
 * what hardware and software share, registers and memory.
 *
 *   driver.c  the driver: what the core asks about devices, attaching, page requests
 *   domain.c  its domains: writes page tables (pt/), programs the hardware
 *   hw.c      the hardware: registers of a domain, and the walk for a device's access
 *   device.c  devices to put behind it, and the model's life in a system
 */
#ifndef MODELS_GENERIC_GENERIC_H
#define MODELS_GENERIC_GENERIC_H

#include <urcu/list.h>
#include <iommufd/driver.h>
#include <iommufd/generic.h>

#include "base/lock.h"
#include "core/system.h"
#include "models/pt_domain.h"
#include "walk/walk.h"

#define GENERIC_VA_LG2	   48u
#define GENERIC_PASID_LG2  20u
#define GENERIC_MSI_START  0xfee00000ULL
#define GENERIC_MSI_LENGTH 0x100000ULL

/**
 * struct generic_iommu - the one of a system
 * @model: its place in the system
 * @devs: every device behind it
 */
struct generic_iommu {
	struct system_model model;
	struct iommu_device iommu_dev;
	struct iommufd_system *system;
	struct iopf_queue *iopf_queue;
	struct mutex lock;
	struct cds_list_head devs __guarded_by(&lock);
};

/**
 * struct generic_dev - the driver's side of a device, which is its owner's
 * @fault_domains: how many it is in, RID and PASIDs, take page requests; under the group's lock
 */
struct generic_dev {
	struct cds_list_head node;
	struct device *dev;
	u32 fault_domains;
};

/**
 * struct generic_hw - the registers of a domain
 * @dte: as in a device table entry of AMD's: root, levels, who sets A and D.  One word, so that
 *	a walk never sees the root of one table with the levels of another.
 * @mem: how the hardware reads memory
 */
struct generic_hw {
	_Atomic u64 dte;
	struct walk_mem mem;
};

/** struct generic_domain - one translation: its tables, and the registers that lead to them */
struct generic_domain {
	struct pt_domain base;
	struct generic_hw hw;
};

extern const struct iommu_ops generic_iommu_ops;

static inline struct generic_iommu *to_generic_iommu(struct iommu_device *iommu_dev)
{
	return container_of(iommu_dev, struct generic_iommu, iommu_dev);
}

static inline struct generic_domain *to_generic_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct generic_domain, base.domain);
}

/* driver.c */
int generic_attach_dev(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old);
int generic_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			  struct iommu_domain *old);

/* domain.c */
struct iommu_domain *generic_domain_alloc(struct device *dev, u32 flags,
					  const struct iommu_user_data *user_data);

/* hw.c */
void generic_hw_init(struct generic_hw *hw, struct mem_space *mem);
/** generic_hw_set_root() - from here on walks begin at @root_pa; @levels tables deep */
void generic_hw_set_root(struct generic_hw *hw, u64 root_pa, unsigned int levels);
/** generic_hw_set_marking() - set accessed and dirty marks, or leave entries alone */
void generic_hw_set_marking(struct generic_hw *hw, bool on);
/**
 * generic_hw_translate() - one access of a device; any thread, no locks
 * @ret_marks: the entry was marked, as the register said when the access began
 */
enum iommu_xlat_fault generic_hw_translate(const struct generic_hw *hw, u64 iova,
					   unsigned int access, struct iommu_xlat *ret,
					   bool *ret_marks);

#endif
