# SPDX-License-Identifier: MIT
# Short names for what one does here; Meson does the building.

all: build/release/build.ninja
	@ninja -C build/release

build/release/build.ninja:
	@scripts/install-deps.sh
	@meson setup build/release --buildtype=release

demo: build/release/build.ninja
	@ninja -C build/release tools/uiommufd examples/client examples/nvme_read
	@scripts/demo.sh build/release

check:
	@scripts/check.sh

check-long:
	@scripts/check.sh --long

bench: all
	@scripts/bench.sh build/release

install: all
	@meson install -C build/release

clean:
	@rm -rf build

.PHONY: all demo check check-long bench install clean
