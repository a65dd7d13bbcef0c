/* SPDX-License-Identifier: MIT */
/*
 * Looking at a running system without being noticed: contexts are counted while
 * they are looked at, objects held by wait_cnt (as by ctx_check()), so that no command
 * gets another answer because somebody looks.  What belongs together may still have changed
 * between two looks.
 *
 * Nothing is sent from here: results are JSON in memory, of bounded size.
 */
#ifndef CONTROL_INSPECT_H
#define CONTROL_INSPECT_H

#include <json-c/json.h>

#include "core/object.h"
#include "machine/machine.h"

#define INSPECT_ROWS_DEFAULT 1000
#define INSPECT_ROWS_MAX     20000

/**
 * struct inspect_range - what part of a long table is wanted
 * @from: lowest iova; @left: rows that still fit
 * @next: where to go on, if there was more
 * @more: there was
 */
struct inspect_range {
	u64 from;
	u32 left;
	u64 next;
	bool more;
};

/** inspect_context() - one row about @ctx */
struct json_object *inspect_context(struct iommufd_ctx *ctx);
/** inspect_objects() - its objects with their relations, ascending ids */
struct json_object *inspect_objects(struct iommufd_ctx *ctx);

/** inspect_object() - type, id, users, and what its type has to say */
struct json_object *inspect_object(struct iommufd_object *obj);
/** inspect_add_ioas(), inspect_add_device() - the larger types, into @row */
void inspect_add_ioas(struct iommufd_object *obj, struct json_object *row);
void inspect_add_device(struct iommufd_object *obj, struct json_object *row);

/** inspect_ioas_map() - areas, reserved and allowed ranges of an ioas, from range->from on */
struct json_object *inspect_ioas_map(struct iommufd_object *obj, struct inspect_range *range);

/** inspect_page_table() - the entries of a paging hwpt that translate what its ioas maps */
struct json_object *inspect_page_table(struct iommufd_object *obj, struct inspect_range *range);
/** inspect_dirty() - what of each mapped area has dirty marks; NULL: nobody tracks */
struct json_object *inspect_dirty(struct iommufd_object *obj, struct inspect_range *range);

/** inspect_devices() - functions of the machine and what they are attached to */
struct json_object *inspect_devices(struct iommufd_system *system, struct machine *machine);
/** inspect_machine() - the description, as a machine file would give it */
struct json_object *inspect_machine(struct machine *machine, struct iommufd_system *system);

#endif
