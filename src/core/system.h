/* SPDX-License-Identifier: MIT */
/*
 * The inside of a system: the machine every room hangs its state on.
 */
#ifndef CORE_SYSTEM_H
#define CORE_SYSTEM_H

#include <urcu/list.h>
#include <iommufd/system.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/tree.h"
#include "iommu/dma.h"
#include "mem/mem.h"

struct iommufd_ucmd;

/**
 * struct system_model - an IOMMU model's place in a system; embedded by it
 * @destroy: the system ends; no context is open.  Also tells what kind of model it is.
 */
struct system_model {
	struct system_model *next;
	void (*destroy)(struct system_model *model);
};

struct iommufd_system {
	struct iommufd_system_opts opts; /* immutable */
	struct log_sink log;             /* immutable */
	struct mem_space *mem;           /* immutable */
	struct dma_system dma;
	struct tree tree;                /* names of files; what is in it goes before the system */
	struct mutex lock;
	struct cds_list_head contexts __guarded_by(&lock);
	_Atomic u32 temp_memory_limit;   /* SET_TEMP_MEMORY_LIMIT; bytes */
	_Atomic u32 object_wait_ms;      /* how long a destroyer sleeps for short-term holders */
	struct system_model *models;     /* immutable after assembly */
	/*
	 * The test interface, set by whoever assembled the system (the command, a test) with a
	 * model that serves it; NULL: IOMMU_TEST_CMD is ENOTTY.  Immutable after assembly.
	 */
	int (*test_cmd)(struct iommufd_ucmd *ucmd);
	void *mock;                      /* the mock model's state for test_cmd */
	void (*mock_destroy)(struct iommufd_system *system);
};

/** system_model_add() - while @system is assembled: nothing of it is open */
void system_model_add(struct iommufd_system *system, struct system_model *model);
/** system_model_find() - the first that ends so, or NULL */
struct system_model *system_model_find(struct iommufd_system *system,
				       void (*destroy)(struct system_model *model));

#define system_log(sys, level, ...) log_line(&(sys)->log, level, __VA_ARGS__)

#endif
