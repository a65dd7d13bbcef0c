/* SPDX-License-Identifier: MIT */
/*
 * The rooms above core, as small as a test can have them: objects that record
 * how they end, and a command table with a row of every kind.
 */
#ifndef TESTS_FAKE_ROOMS_H
#define TESTS_FAKE_ROOMS_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/object.h"
#include "core/self.h"
#include "core/ucmd.h"

#define FAKE_MAGIC 0x6f626a6563740a00ULL

/**
 * struct fake_object - an object of any type
 * @magic: FAKE_MAGIC while it lives
 * @parent: held by users; the end releases it (or tries to destroy it, if @auto_parent)
 * @holding: held by wait_cnt as a vdevice holds its device; the end lets go
 * @pre_destroy: called by the type's, for devices
 * @child: for @pre_destroy
 * @wrong: what check says
 */
struct fake_object {
	struct iommufd_object obj;
	u64 magic;
	struct iommufd_ctx *ctx;
	struct fake_object *parent;
	bool auto_parent;
	bool huge_pages;
	struct fake_object *holding;
	void (*pre_destroy)(struct fake_object *fake);
	struct fake_object *child;
	const char *wrong;
};

/* What ended since fake_ends_reset(), in order. */
struct fake_ends {
	u32 destroyed[64];
	u32 n_destroyed;
	u32 n_aborted;
};
void fake_ends_reset(void);
struct fake_ends fake_ends_get(void);

/* An object that is not yet published, and one that is. */
struct fake_object *fake_object_begin(struct iommufd_ctx *ctx, enum iommufd_object_type type);
struct fake_object *fake_object_make(struct iommufd_ctx *ctx, enum iommufd_object_type type);

/* What the fake IOMMU_HWPT_ALLOC handler saw, and what it is to do. */
struct fake_command {
	u32 calls;
	u32 user_size;
	u8 copy[128];
	int rc;
	long ret;
};
extern struct fake_command fake_command;
/* IOMMU_TEST_CMD of systems that have it */
int fake_test_cmd(struct iommufd_ucmd *ucmd);

/* Lines the library logged. */
struct fake_log {
	_Atomic u32 lines;
	char last[512];
};
void fake_log_line(void *data, enum iommufd_log_level level, const char *line);

/* A system with one open context, and the log they write to. */
struct world {
	struct iommufd_system *system;
	struct iommufd_ctx *ctx;
	struct fake_log log;
};
int world_setup(void **state);
/* Also asserts that nothing but what the test expected was logged. */
int world_teardown(void **state);
void world_close_ctx(struct world *world);
u32 world_take_log_lines(struct world *world);

#endif
