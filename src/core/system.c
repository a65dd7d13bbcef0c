/* SPDX-License-Identifier: MIT */
/*
 * Making and ending a system.  It starts as an empty machine: memory, and a
 * list of the contexts opened on it; whoever assembles it adds the rest.
 */
#include "core/system.h"

#include <string.h>

#include "base/alloc.h"
#include "iommu/dma_check.h"

#define TEMP_MEMORY_LIMIT_DEFAULT 65536
#define OBJECT_WAIT_MS_DEFAULT 60000

/* The rule of the user API, for our own options: a longer struct must have a zero tail. */
static int opts_copy(struct iommufd_system_opts *dst, const struct iommufd_system_opts *src)
{
	const u8 *bytes = (const u8 *)src;

	*dst = (struct iommufd_system_opts){ .size = sizeof(*dst) };
	if (!src)
		return 0;
	if (src->size < sizeof(*dst))
		return -EINVAL;
	for (size_t i = sizeof(*dst); i < src->size; i++)
		if (bytes[i])
			return -EINVAL;
	*dst = *src;
	dst->size = sizeof(*dst);
	if ((unsigned int)dst->frames > IOMMUFD_FRAMES_RANDOM ||
	    (unsigned int)dst->log_level > IOMMUFD_LOG_DEBUG)
		return -EINVAL;
	return 0;
}

int iommufd_system_create(const struct iommufd_system_opts *opts,
			  struct iommufd_system **ret_system)
{
	struct iommufd_system *system;
	int rc;

	system = zalloc(sizeof(*system));
	if (!system)
		return -ENOMEM;
	rc = opts_copy(&system->opts, opts);
	if (rc)
		goto err_free;
	system->log.fn = system->opts.log;
	system->log.data = system->opts.log_data;
	system->log.level = system->opts.log_level;
	rc = mem_space_create(system->opts.frames, &system->log, &system->mem);
	if (rc)
		goto err_free;
	dma_system_init(&system->dma, system->mem, &system->log);
	tree_init(&system->tree);
	mutex_init(&system->lock);
	CDS_INIT_LIST_HEAD(&system->contexts);
	atomic_init(&system->temp_memory_limit, TEMP_MEMORY_LIMIT_DEFAULT);
	atomic_init(&system->object_wait_ms, OBJECT_WAIT_MS_DEFAULT);
	*ret_system = system;
	return 0;
err_free:
	free(system);
	return rc;
}

void system_model_add(struct iommufd_system *system, struct system_model *model)
{
	model->next = system->models;
	system->models = model;
}

struct system_model *system_model_find(struct iommufd_system *system,
				       void (*destroy)(struct system_model *model))
{
	struct system_model *model = system->models;

	while (model && model->destroy != destroy)
		model = model->next;
	return model;
}

static void models_destroy(struct iommufd_system *system)
{
	while (system->models) {
		struct system_model *model = system->models;

		system->models = model->next;
		model->destroy(model);
	}
}

void iommufd_system_destroy(struct iommufd_system *system)
{
	bool busy;

	if (!system)
		return;
	mutex_lock(&system->lock);
	busy = !cds_list_empty(&system->contexts);
	mutex_unlock(&system->lock);
	if (busy) {
		/* Its contexts still point at it: a leak is the lesser evil. */
		system_log(system, IOMMUFD_LOG_ERROR,
			   "system destroyed while a context is open: left behind");
		return;
	}
	models_destroy(system);
	if (system->mock_destroy)
		system->mock_destroy(system);
	tree_fini(&system->tree);
	dma_system_fini(&system->dma);
	mem_space_destroy(system->mem);
	mutex_destroy(&system->lock);
	free(system);
}

int iommufd_dma_check_enable(struct iommufd_system *system)
{
	if (system->dma.check)
		return -EALREADY;
	return dma_check_create(&system->log, &system->dma.check);
}

u64 iommufd_dma_check_reports(struct iommufd_system *system)
{
	return dma_check_reports(system->dma.check);
}

int iommufd_phys_read(struct iommufd_system *system, phys_addr_t pa, void *buf, size_t len)
{
	return mem_phys_read(system->mem, pa, buf, len);
}

int iommufd_phys_write(struct iommufd_system *system, phys_addr_t pa, const void *buf, size_t len)
{
	return mem_phys_write(system->mem, pa, buf, len);
}
