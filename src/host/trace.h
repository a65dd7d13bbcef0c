/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of commands for -v: a row per command, a row per field of its
 * struct.  The structs are the user API's own, so sizes and offsets are theirs;
 * what is written down here is only how a field reads best.
 */
#ifndef HOST_TRACE_H
#define HOST_TRACE_H

#include "base/types.h"

enum trace_kind {
	TRACE_DEC,
	TRACE_HEX,
	TRACE_SDEC,  /* a descriptor */
	TRACE_ENUM,  /* one of names, else decimal */
	TRACE_FLAGS, /* or-ed names, the rest in hex */
};

/** struct trace_name - ends with a NULL name */
struct trace_name {
	u64 value;
	const char *name;
};

struct trace_field {
	const char *name;
	u16 offset;
	u16 size;
	enum trace_kind kind;
	const struct trace_name *names;
};

/**
 * struct trace_cmd - a command of ioctl type ';'
 * @size: of its struct, 0 if the argument is a value
 * @fields: for a value, one field that describes it, or none
 * @variant: for IOMMU_TEST_CMD: value of op
 */
struct trace_cmd {
	u32 cmd;
	u32 variant;
	const char *name;
	u32 size;
	const struct trace_field *fields;
	u32 num_fields;
};

#define TRACE_FIELD(type, member, k, n)                                                            \
	{                                                                                          \
		.name = #member, .offset = offsetof(type, member),                                 \
		.size = sizeof(((type *)0)->member), .kind = k, .names = n                         \
	}
#define TRACE_NAME(prefix, word) { prefix##word, #word }

#define TRACE_STRUCT_MAX 128

/** trace_cmd_iommufd() and its like - the row of a command, NULL if unknown */
const struct trace_cmd *trace_cmd_iommufd(u32 cmd);
/**
 * @file: name of the file it is of, as file_ops has it, or NULL: devices and containers share
 * numbers
 */
const struct trace_cmd *trace_cmd_vfio(u32 cmd, const char *file);
const struct trace_cmd *trace_cmd_test(u32 op);

#endif
