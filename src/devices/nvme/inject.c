/* SPDX-License-Identifier: MIT */
/*
 * What can be made to happen to a disk from outside.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/nvme/nvme.h"

static int number(const char *text, u64 limit, u64 *ret)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	return *end || errno || *ret > limit ? -EINVAL : 0;
}

static void raise_event(struct nvme *nvme, enum nvme_event event)
{
	atomic_fetch_or(&nvme->injected, 1U << event);
}

static int temperature(struct nvme *nvme, const char *text)
{
	u64 kelvin;

	if (number(text, 0xffff, &kelvin))
		return -EINVAL;
	atomic_store(&nvme->kelvin, (u32)kelvin);
	raise_event(nvme, NVME_EV_TEMPERATURE);
	return 0;
}

/* Critical warnings of the SMART log (1.4, figure 194). */
static int smart(struct nvme *nvme, const char *what)
{
	static const struct {
		const char *name;
		u32 bit;
		enum nvme_event event;
	} warnings[] = {
		{"spare", 0, NVME_EV_SPARE},
		{"reliability", 2, NVME_EV_RELIABILITY},
		{"readonly", 3, NVME_EV_RELIABILITY},
		{"backup", 4, NVME_EV_RELIABILITY},
	};

	if (!what)
		return -EINVAL;
	if (!strncmp(what, "temperature=", 12))
		return temperature(nvme, what + 12);
	if (!strcmp(what, "ok")) {
		atomic_store(&nvme->critical, 0);
		atomic_store(&nvme->kelvin, NVME_KELVIN);
		return 0;
	}
	for (u32 i = 0; i < ARRAY_SIZE(warnings); i++)
		if (!strcmp(what, warnings[i].name)) {
			atomic_fetch_or(&nvme->critical, 1U << warnings[i].bit);
			raise_event(nvme, warnings[i].event);
			return 0;
		}
	return -EINVAL;
}

static int resize(struct nvme *nvme, const char *argument)
{
	const struct device_option option = {"size", argument};
	char error[80];
	u64 bytes = 0;

	if (argument && *argument &&
	    device_option_size(&option, 1, "size", &bytes, error, sizeof(error)))
		return -EINVAL;
	return nvme_ns_resize(nvme->ns, bytes);
}

static int slow(struct nvme *nvme, const char *argument)
{
	u64 ms;

	if (number(argument, 60000, &ms))
		return -EINVAL;
	atomic_store(&nvme->slow_ms, (u32)ms);
	return 0;
}

static int bad_block(struct nvme *nvme, const char *argument)
{
	u64 lba;

	return number(argument, UINT64_MAX, &lba) ? -EINVAL : nvme_ns_spoil(nvme->ns, lba);
}

int nvme_inject(struct pci_dev *pdev, const char *what, const char *argument)
{
	struct nvme *nvme = to_nvme(pdev);
	int rc = 0;

	if (!strcmp(what, "smart"))
		rc = smart(nvme, argument);
	else if (!strcmp(what, "error"))
		rc = bad_block(nvme, argument);
	else if (!strcmp(what, "internal"))
		raise_event(nvme, NVME_EV_INTERNAL);
	else if (!strcmp(what, "namespace-change"))
		rc = resize(nvme, argument);
	else if (!strcmp(what, "fatal"))
		atomic_store(&nvme->fatal, true);
	else if (!strcmp(what, "slow"))
		rc = slow(nvme, argument);
	else
		return -EINVAL;
	if (!rc)
		pci_dev_kick(pdev);
	return rc;
}
