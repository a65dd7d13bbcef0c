/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU: devices that exist to be tested with, made and driven
 * through IOMMU_TEST_CMD (<iommufd/uapi/iommufd_test.h>).
 */
#ifndef IOMMUFD_MOCK_H
#define IOMMUFD_MOCK_H

#include <iommufd/system.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * iommufd_mock_init() - give a new system a mock IOMMU and the test command
 * @system: nothing of it is open yet; made with selftest in its options
 * Return: 0 or -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_mock_init(struct iommufd_system *system);

#ifdef __cplusplus
}
#endif

#endif
