/* SPDX-License-Identifier: MIT */
/*
 * Commands that do something with a device.
 */
#include "control/command.h"

#include <string.h>
#include <iommufd/dma.h>

#include "control/json.h"

#define DMA_BYTES_MAX	4096
#define PAGE_TIMEOUT_MS 60000

/* The device, or VF, named by "device"; false after control_fail(). */
static bool function_get(struct control_call *call, struct machine_function *ret)
{
	const char *name = control_arg_string(call, "device");

	if (call->target->machine && machine_function_get(call->target->machine, name, ret))
		return true;
	control_fail(call, "DeviceNotFound", "%.100s: no such device", name);
	return false;
}

/* @rc: -errno of what was tried with it, or 0. */
static int function_done(struct control_call *call, const struct machine_function *function, int rc)
{
	if (rc)
		control_fail_errno(call, rc, control_arg_string(call, "device"));
	machine_function_put(call->target->machine, function);
	return rc ? -1 : 0;
}

/* ---- coming and going ---- */

static int device_add(struct control_call *call)
{
	const struct machine_place at = {.source = "device-add"};
	struct machine_word words[MACHINE_KEYS_MAX];
	struct machine_item item = {.at = at, .words = words};
	struct machine_error error;
	char id[MACHINE_ID_MAX + 1];

	if (!call->target->machine)
		return control_fail(call, "GenericError", "this machine takes no devices");
	json_object_object_foreach(call->args, key, value)
	{
		if (item.count == MACHINE_KEYS_MAX || json_object_is_type(value, json_type_null) ||
		    json_object_is_type(value, json_type_array) ||
		    json_object_is_type(value, json_type_object))
			return control_fail(call, "BadArgument", "%.100s: a single value is wanted",
					    key);
		words[item.count++] = (struct machine_word){
			.key = key,
			.value = json_object_get_string(value),
			.key_at = at,
			.value_at = at,
		};
	}
	if (machine_device_add(call->target->machine, &item, id, &error))
		return control_fail(call, "GenericError", "%s", error.text);
	call->ret = json_object_new_object();
	json_add_string(call->ret, "id", id);
	return 0;
}

static int device_remove(struct control_call *call)
{
	const char *name = control_arg_string(call, "device");
	int rc = -ENODEV;

	if (call->target->machine)
		rc = machine_device_remove(call->target->machine, name);
	if (rc == -ENODEV)
		return control_fail(call, "DeviceNotFound", "%.100s: no such device", name);
	return rc ? control_fail_errno(call, rc, name) : 0;
}

static int device_reset(struct control_call *call)
{
	struct machine_function function;

	if (!function_get(call, &function))
		return -1;
	return function_done(call, &function, pci_dev_reset(function.pdev));
}

static int sriov(struct control_call *call)
{
	u64 vfs = control_arg_number(call, "vfs", 0);
	struct machine_function function;
	int rc;

	if (!function_get(call, &function))
		return -1;
	rc = vfs > UINT16_MAX ? -EINVAL : pci_sriov_set(function.pdev, (unsigned int)vfs);
	return function_done(call, &function, rc);
}

static int inject(struct control_call *call)
{
	const char *what = control_arg_string(call, "what");
	const char *argument = control_arg_string(call, "argument") ?: "";
	struct machine_function function;
	int rc = -EOPNOTSUPP;

	if (!function_get(call, &function))
		return -1;
	if (function.pdev->ops->inject)
		rc = function.pdev->ops->inject(function.pdev, what, argument);
	if (rc)
		control_fail_errno(call, rc, what);
	machine_function_put(call->target->machine, &function);
	return rc ? -1 : 0;
}

/* ---- DMA as the device would do it ---- */

static int access_word(struct control_call *call, unsigned int *ret_access)
{
	const char *word = control_arg_string(call, "access") ?: "read";

	if (!strcmp(word, "read"))
		*ret_access = IOMMU_READ;
	else if (!strcmp(word, "write"))
		*ret_access = IOMMU_WRITE;
	else if (!strcmp(word, "read-write"))
		*ret_access = IOMMU_READ | IOMMU_WRITE;
	else
		return control_fail(call, "BadArgument", "access: read, write or read-write");
	return 0;
}

/* PASIDs have 20 bits. */
static int pasid_word(struct control_call *call, ioasid_t *ret_pasid)
{
	u64 pasid = control_arg_number(call, "pasid", IOMMU_NO_PASID);

	if (pasid >= 1u << 20)
		return control_fail(call, "BadArgument", "pasid: 20 bits at most");
	*ret_pasid = (ioasid_t)pasid;
	return 0;
}

static int page_request(struct control_call *call)
{
	u64 timeout = control_arg_number(call, "timeout", 1000);
	u64 iova = control_arg_number(call, "iova", 0);
	struct machine_function function;
	unsigned int access = 0;
	ioasid_t pasid = IOMMU_NO_PASID;
	int rc;

	if (access_word(call, &access) || pasid_word(call, &pasid))
		return -1;
	if (timeout > PAGE_TIMEOUT_MS)
		return control_fail(call, "BadArgument", "timeout: %d ms at most", PAGE_TIMEOUT_MS);
	if (!function_get(call, &function))
		return -1;
	rc = iommufd_dma_page_request(&function.pdev->dev, pasid, iova, access,
				      (unsigned int)timeout);
	return function_done(call, &function, rc);
}

static const char *fault_text(enum iommu_xlat_fault reason)
{
	static const char *const texts[] = {
		[IOMMU_XLAT_OK] = "translated, but there is no memory",
		[IOMMU_XLAT_NOT_PRESENT] = "nothing is mapped there",
		[IOMMU_XLAT_PERMISSION] = "mapped, but not for this access",
		[IOMMU_XLAT_OUT_OF_RANGE] = "beyond what can be translated",
		[IOMMU_XLAT_BAD_ENTRY] = "a bad entry in a table",
		[IOMMU_XLAT_BAD_TABLE] = "a table that is no memory",
		[IOMMU_XLAT_NOT_ATTACHED] = "the device is not attached",
		[IOMMU_XLAT_BLOCKED] = "the device's DMA is blocked",
	};

	return (size_t)reason < ARRAY_SIZE(texts) ? texts[reason] : "unknown";
}

static int dma_fail(struct control_call *call, const struct iommufd_dma_fault *fault)
{
	return control_fail(call, "DmaFault", "0x%llx: %s", (unsigned long long)fault->iova,
			    fault_text(fault->reason));
}

static int dma_read(struct control_call *call)
{
	u64 length = control_arg_number(call, "length", 0);
	struct iommufd_dma_fault fault = {0};
	struct machine_function function;
	char buf[DMA_BYTES_MAX];
	ioasid_t pasid = IOMMU_NO_PASID;
	int rc;

	if (pasid_word(call, &pasid))
		return -1;
	if (!length || length > sizeof(buf))
		return control_fail(call, "BadArgument", "length: a number from 1 to %d is wanted",
				    DMA_BYTES_MAX);
	if (!function_get(call, &function))
		return -1;
	fault.iova = control_arg_number(call, "iova", 0);
	rc = iommufd_dma_read(&function.pdev->dev, pasid, fault.iova, buf, length, &fault);
	machine_function_put(call->target->machine, &function);
	if (rc)
		return dma_fail(call, &fault);
	call->ret = json_object_new_object();
	json_add(call->ret, "data", control_hex(buf, length));
	return 0;
}

static int dma_write(struct control_call *call)
{
	struct iommufd_dma_fault fault = {0};
	struct machine_function function;
	char buf[DMA_BYTES_MAX];
	ioasid_t pasid = IOMMU_NO_PASID;
	ssize_t len;
	int rc;

	if (pasid_word(call, &pasid))
		return -1;
	len = control_arg_bytes(call, "data", buf, sizeof(buf));
	if (len < 0 || !function_get(call, &function))
		return -1;
	fault.iova = control_arg_number(call, "iova", 0);
	rc = iommufd_dma_write(&function.pdev->dev, pasid, fault.iova, buf, (size_t)len, &fault);
	machine_function_put(call->target->machine, &function);
	return rc ? dma_fail(call, &fault) : 0;
}

static const struct control_arg device_args[] = {{"device", ARG_STRING}, {0}};
static const struct control_arg sriov_args[] = {
	{"device", ARG_STRING},
	{"vfs", ARG_NUMBER},
	{0},
};
static const struct control_arg inject_args[] = {
	{"device", ARG_STRING},
	{"what", ARG_STRING},
	{"argument", ARG_STRING, true},
	{0},
};
static const struct control_arg page_args[] = {
	{"device", ARG_STRING},	      {"iova", ARG_NUMBER},	     {"pasid", ARG_NUMBER, true},
	{"access", ARG_STRING, true}, {"timeout", ARG_NUMBER, true}, {0},
};
static const struct control_arg read_args[] = {
	{"device", ARG_STRING},
	{"iova", ARG_NUMBER},
	{"length", ARG_NUMBER},
	{"pasid", ARG_NUMBER, true},
	{0},
};
static const struct control_arg write_args[] = {
	{"device", ARG_STRING},
	{"iova", ARG_NUMBER},
	{"data", ARG_STRING},
	{"pasid", ARG_NUMBER, true},
	{0},
};
static const struct control_arg add_args[] = {{"model", ARG_STRING}, {0}};

const struct control_command control_device_commands[] = {
	{"device-add", "plug a device in: the keys of the machine file", device_add, add_args,
	 true},
	{"device-remove", "take one away; its user is asked first", device_remove, device_args},
	{"device-reset", "a function reset", device_reset, device_args},
	{"sriov", "so many VFs", sriov, sriov_args},
	{"inject", "what the model can be made to do", inject, inject_args},
	{"page-request", "the device asks for a page, and waits", page_request, page_args},
	{"dma-read", "read memory through the device", dma_read, read_args},
	{"dma-write", "write memory through the device", dma_write, write_args},
	{0},
};
