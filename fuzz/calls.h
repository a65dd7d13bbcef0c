/* SPDX-License-Identifier: MIT */
/*
 * Every command there is, described: which fields its struct has and what
 * belongs in them.  calls.c is the table, call.c fills structs from it.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include "world.h"

/* What belongs in a field; in parentheses what struct field.arg then says. */
enum field_kind {
	FIELD_NONE,      /* ends the list */
	FIELD_ID,        /* an id (enum kind) */
	FIELD_PT,        /* something a device attaches to */
	FIELD_FLAGS,     /* bits (those that exist) */
	FIELD_VALUE,     /* one of field.values */
	FIELD_SMALL,     /* a number (below this) */
	FIELD_ZERO,      /* must be zero */
	FIELD_IOVA,
	FIELD_LENGTH,
	FIELD_VA,        /* address of memory that is to be mapped */
	FIELD_MAPPED_VA, /* address of memory that has been mapped at the iova before it */
	FIELD_MAYBE_VA,  /* the same, or 0 */
	FIELD_PASID,
	FIELD_FD,        /* a descriptor (enum fd_kind) */
	FIELD_FILE,      /* a file, for its pages */
	FIELD_BLOB,      /* pointer to data (enum blob_kind) */
	FIELD_BLOB_LEN,  /* bytes of the blob that follows it in the list, or of an entry of it */
	FIELD_BLOB_NUM,  /* entries of it */
	FIELD_OUT_ID,    /* answer (enum kind) */
	FIELD_OUT_FD,    /* answer (enum fd_kind) */
};

enum blob_kind {
	BLOB_BUFFER,     /* any bytes, to read or write */
	BLOB_RANGES,     /* struct iommu_iova_range */
	BLOB_HWPT,       /* struct iommu_hwpt_selftest */
	BLOB_INVALIDATE, /* entries for a nested hwpt or a vIOMMU */
	BLOB_VIOMMU,     /* struct iommu_viommu_selftest */
};

struct field {
	u8 kind;
	u8 offset;
	u8 width;
	u32 arg;
	const u32 *values; /* ends with a 0 that counts as a value */
};

#define CALL_FIELDS 11

/**
 * struct call - a row
 * @size: of the struct; 0: the argument is a number, one of @values
 * @min_size: what the oldest callers pass
 * @op: of IOMMU_TEST_CMD, else 0
 * @weight: how often, against the others
 */
struct call {
	const char *name;
	u32 cmd;
	u16 size;
	u16 min_size;
	u8 op;
	u8 weight;
	const u32 *values;
	struct field fields[CALL_FIELDS];
};

extern const struct call calls[];

#endif
