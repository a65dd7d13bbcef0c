/* SPDX-License-Identifier: MIT */
/* The words of `uiommufd run`. */
#include <stdio.h>
#include <string.h>

#include "run.h"
#include "tool.h"

/** struct run_option - @apply: @value is NULL where none is taken; 0 or an exit status */
struct run_option {
	const char *name;
	bool takes_value;
	int (*apply)(struct run *run, const char *value);
};

static int apply_trace(struct run *run, const char *value)
{
	run->host.trace = true;
	return 0;
}

static int apply_selftest(struct run *run, const char *value)
{
	run->host.selftest = true;
	run->system_opts.selftest = true;
	return 0;
}

static int apply_preload(struct run *run, const char *value)
{
	run->preload = true;
	return 0;
}

static int apply_no_namespaces(struct run *run, const char *value)
{
	run->host.no_namespaces = true;
	return 0;
}

static int apply_precise_dirty(struct run *run, const char *value)
{
	run->system_opts.precise_dirty = true;
	return 0;
}

static int apply_check_dma(struct run *run, const char *value)
{
	run->check_dma = true;
	return 0;
}

/* Index of @word in @names, which end with NULL, or -1. */
static int name_index(const char *word, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(word, names[i]))
			return i;
	return -1;
}

static int apply_frames(struct run *run, const char *value)
{
	int index = name_index(value, machine_frames_names);

	if (index < 0)
		return tool_usage("run", value, "not a layout: contiguous, huge-only, random");
	run->system_opts.frames = (enum iommufd_frame_policy)index;
	run->frames_set = true;
	return 0;
}

static int apply_log_level(struct run *run, const char *value)
{
	static const char *const names[] = {"error", "warning", "info", "debug", NULL};
	int index = name_index(value, names);

	if (index < 0)
		return tool_usage("run", value, "not a level: error, warning, info, debug");
	run->system_opts.log_level = (enum iommufd_log_level)index;
	return 0;
}

static int apply_control(struct run *run, const char *value)
{
	run->no_control = !strcmp(value, "none");
	run->control_path = run->no_control ? NULL : value;
	return 0;
}

/* ---- the machine ---- */

/* What is wrong is said in full by the error: FILE:LINE:COLUMN, or the option's name. */
static int described(struct run *run, int rc, const struct machine_error *error)
{
	run->described = true;
	if (!rc)
		return 0;
	fprintf(stderr, "uiommufd run: %s\n", error->text);
	return EXIT_USAGE;
}

static int apply_machine(struct run *run, const char *value)
{
	struct machine_error error;

	return described(run, machine_desc_file(&run->desc, value, &error), &error);
}

static int apply_text(struct run *run, const char *option, const char *value,
		      int (*add)(struct machine_desc *desc, const struct machine_item *item,
				 struct machine_error *error))
{
	struct machine_error error;

	return described(run, machine_desc_text(&run->desc, option, value, add, &error), &error);
}

static int apply_iommu(struct run *run, const char *value)
{
	return apply_text(run, "--iommu", value, machine_desc_iommu);
}

static int apply_bridge(struct run *run, const char *value)
{
	return apply_text(run, "--bridge", value, machine_desc_bridge);
}

static int apply_device(struct run *run, const char *value)
{
	return apply_text(run, "--device", value, machine_desc_device);
}

static int apply_container(struct run *run, const char *value)
{
	const struct machine_word word = {
		.key = "--container",
		.value = value,
		.value_at = {.source = "--container"},
	};
	struct machine_error error;

	return described(run, machine_desc_container(&run->desc, &word, &error), &error);
}

/* ---- all ---- */

static const struct run_option options[] = {
	{"-v", false, apply_trace},
	{"--trace", false, apply_trace},
	{"--selftest", false, apply_selftest},
	{"--preload", false, apply_preload},
	{"--no-namespaces", false, apply_no_namespaces},
	{"--precise-dirty", false, apply_precise_dirty},
	{"--check-dma", false, apply_check_dma},
	{"--frames", true, apply_frames},
	{"--log-level", true, apply_log_level},
	{"--control", true, apply_control},
	{"--machine", true, apply_machine},
	{"--iommu", true, apply_iommu},
	{"--bridge", true, apply_bridge},
	{"--device", true, apply_device},
	{"--container", true, apply_container},
};

/* One option at argv[*i], which moves to its last word; 0 or an exit status. */
static int run_option(struct run *run, char **argv, int *i)
{
	const char *word = argv[*i];

	for (size_t n = 0; n < ARRAY_SIZE(options); n++) {
		const struct run_option *option = &options[n];
		const char *value = NULL;
		bool missing = false;

		if (option->takes_value)
			value = tool_option(argv, i, option->name, &missing);
		if (missing)
			return tool_usage("run", word, "its value is missing");
		if (option->takes_value ? !!value : !strcmp(word, option->name))
			return option->apply(run, value);
	}
	return tool_usage("run", word, "unknown option");
}

/* Where nothing was said: the default machine, or with --selftest one without devices. */
static int machine_finish(struct run *run)
{
	struct machine_error error;
	int rc = 0;

	if (run->preload && (run->described || run->check_dma))
		return tool_usage("run", "--preload",
				  "a machine inside the program has no devices");
	if (run->preload && run->control_path)
		return tool_usage("run", "--control",
				  "a machine inside the program has no control socket");
	if (run->preload)
		return 0;
	if (!run->described && !run->system_opts.selftest)
		rc = machine_desc_default(&run->desc, &error);
	if (!rc)
		rc = machine_desc_finish(&run->desc, &error);
	if (rc) {
		fprintf(stderr, "uiommufd run: %s\n", error.text);
		return EXIT_USAGE;
	}
	if (run->desc.frames_set && !run->frames_set)
		run->system_opts.frames = run->desc.frames;
	return 0;
}

int run_options(struct run *run, int argc, char **argv)
{
	int i, rc;

	for (i = 1; i < argc && *argv[i] == '-'; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		rc = run_option(run, argv, &i);
		if (rc)
			return rc;
	}
	if (i >= argc)
		return tool_usage("run", "PROGRAM", "is missing (uiommufd run help)");
	run->program = argv + i;
	return machine_finish(run);
}

static void print_keys(const char *const *keys)
{
	for (; keys && *keys; keys++) {
		int len = (int)strcspn(*keys, "=");

		printf("      %-14.*s %s\n", len, *keys, (*keys)[len] ? *keys + len + 1 : "");
	}
}

void run_models(void)
{
	printf("\nIOMMUs (--iommu MODEL,id=NAME,KEY=VALUE...):\n");
	for (size_t i = 0; iommu_models[i]; i++) {
		printf("  %-10s %s\n", iommu_models[i]->name, iommu_models[i]->line);
		print_keys(iommu_models[i]->keys);
	}
	printf("\nDevices (--device MODEL,id=,addr=,iommu=,access=,KEY=VALUE...):\n");
	for (size_t i = 0; device_models[i]; i++) {
		printf("  %-10s %s; access %s\n", device_models[i]->name, device_models[i]->line,
		       machine_access_names[device_models[i]->access]);
		print_keys(device_models[i]->keys);
	}
}

const char run_help[] =
	"Usage: uiommufd run [OPTIONS] [--] PROGRAM [ARGS]\n"
	"\n"
	"  OPTIONS := { MACHINE | -v | --trace | --preload | --selftest | --no-namespaces\n"
	"             | --precise-dirty | --check-dma | --control { PATH | none }\n"
	"             | --frames { contiguous | huge-only | random }\n"
	"             | --log-level { error | warning | info | debug } }\n"
	"  MACHINE := { --machine FILE | --iommu MODEL,KEY=VALUE... | --device MODEL,KEY=VALUE...\n"
	"             | --bridge addr=ADDR,bus=N,acs=BOOL | --container { native | compat } }\n"
	"\n"
	"  -v, --trace      write each call on our devices to stderr, decoded\n"
	"  --preload        run inside the program's own process (one process, not static, no\n"
	"                   devices): a call on our devices is a function call\n"
	"  --selftest       serve IOMMU_TEST_CMD and fault injection for the kernel's tests;\n"
	"                   no devices but those that are described\n"
	"  --no-namespaces  leave the program's /dev alone, answer its path calls instead\n"
	"  --frames         layout of physical memory: as in its backing (default), only\n"
	"                   huge pages contiguous, or every page somewhere else\n"
	"  --precise-dirty  dirty tracking tells 4 KiB pages, not page table entries\n"
	"  --check-dma      report DMA that is wrong, though it may go well (slow)\n"
	"  --control        socket for show, device and control (default: one of its own)\n"
	"  --log-level      least severe message that is shown (default: warning)\n"
	"  --machine        IOMMUs, bridges and devices from a YAML file (uiommufd(1))\n"
	"  --iommu, --bridge, --device\n"
	"                   one more of these; a comma in a value is written twice\n"
	"  --container      what /dev/vfio/vfio is: a type1 container, or iommufd in its place\n"
	"\n"
	"Without MACHINE there are a generic IOMMU, a DSA and a small NVMe disk in memory.\n"
	"\n"
	"Exit status: the program's; if it dies of a signal, so does this command.\n"
	"125 the supervisor failed, 126 PROGRAM cannot be executed, 127 it is not found,\n"
	"2 misuse.  Processes the program leaves behind are served until they end.\n"
	"\n"
	"Example: uiommufd run --device nvme,addr=0000:01:00.0,image=disk.img -- ./driver\n";
