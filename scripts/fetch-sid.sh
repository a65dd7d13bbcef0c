#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fetch-sid.sh [--deps] PACKAGE DESTDIR - a package of Debian's unstable suite,
# unpacked into a folder of ours and never installed.  Some of our tests hold the
# library against headers and tests of a kernel newer than the machine's, or run
# a program newer than the machine's; this is how they get them.
#
# --deps: with everything it depends on, down to the C library, so that DESTDIR is
# the root of a system in which the program can run.  $UIOMMUFD_SUITE: another suite.
#
# The archive is the one the machine itself is set up for: apt is asked which
# address it has for its base suite, and asked again with a private
# configuration that differs only in the suite and in where it keeps its state.
# Settings such as proxies therefore stay in force, and so do signatures.
#
# The package's name and version end up in DESTDIR/.package.  A result younger
# than a week is taken as it is; an older one serves when there is no network.
#
# Exit: 0 done, 2 misused, 77 cannot be had (the last line says why).

set -u
cache=${XDG_CACHE_HOME:-$HOME/.cache}/uiommufd
suite=${UIOMMUFD_SUITE:-sid}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "fetch-sid: $*" >&2; }

# No result of today; maybe one of earlier.
give_up() {
	if [ -f "$dest/.package" ]; then
		say "$*; using $(cat "$dest/.package") fetched earlier"
		exit 0
	fi
	say "$*"
	exit 77
}

# The address behind the machine's own base suite.  indextargets reads every
# form a source list may have and does not need the network.
archive_uri() {
	local codename uri release component

	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	while IFS='|' read -r uri release component; do
		[ "$component" = main ] || continue
		case $release in
		"$codename" | stable | oldstable | oldoldstable | testing | unstable | sid)
			echo "$uri"
			return
			;;
		esac
	done < <(apt-get indextargets --no-release-info \
		--format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' 2>/dev/null)
	return 1
}

# Hooks of the machine are for its own lists and are cleared.
write_config() {
	local uri=$1

	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" || return 1
	: >"$apt/status"
	echo "deb [signed-by=$keyring] $uri $suite main" >"$apt/sources.list"
	cat >"$apt/apt.conf" <<-CONF
		Dir::State "$apt/state";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "-";
		Acquire::Languages "none";
		Acquire::PDiffs "false";
		Acquire::Retries "2";
		Acquire::http::Timeout "20";
		Acquire::https::Timeout "20";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
	CONF
	# apt drops to a user of its own for downloads, who cannot see our folder.
	[ "$(id -u)" = 0 ] && echo 'APT::Sandbox::User "root";' >>"$apt/apt.conf"
	return 0
}

younger_than() { [ -n "$(find "$2" -maxdepth 0 -mmin "-$1" 2>/dev/null)" ]; }

update_lists() {
	younger_than 1440 "$apt/updated" && cmp -s "$apt/sources.list" "$apt/updated" && return 0
	if ! apt-get -c "$apt/apt.conf" -qq --error-on=any update >"$apt/log" 2>&1; then
		grep -q NO_PUBKEY "$apt/log" &&
			say "$keyring lacks the key of $suite: upgrade debian-archive-keyring"
		sed -n 's/^[EW]: /fetch-sid: apt: /p' "$apt/log" | head -3 >&2
		return 1
	fi
	cp "$apt/sources.list" "$apt/updated"
}

download_package() {
	rm -rf "$apt/download"
	mkdir -p "$apt/download/partial" || return 1
	if [ -n "$deps" ]; then
		# Nothing is installed as far as the private state knows, so all of it comes.
		apt-get -c "$apt/apt.conf" -qq -y --no-install-recommends --download-only \
			-o Dir::Cache::archives="$apt/download" install "$package" >"$apt/log" 2>&1
	else
		(cd "$apt/download" && apt-get -c "$apt/apt.conf" -qq download "$package") \
			>"$apt/log" 2>&1
	fi
}

# Unpacked beside the destination and renamed, so nobody sees half of it.
unpack() {
	local new=$dest.new.$$ deb named=

	rm -rf "$new"
	for deb; do
		[[ $deb != */"$package"_* ]] || named=$deb
		if ! dpkg-deb -x "$deb" "$new"; then
			rm -rf "$new"
			return 1
		fi
	done
	dpkg-deb -f "$named" Package Version | sed 's/^[^ ]* //' | paste -sd' ' >"$new/.package"
	rm -rf "$dest"
	mv "$new" "$dest"
}

deps=
if [ "${1:-}" = --deps ]; then
	deps=yes
	shift
fi
if [ $# -ne 2 ]; then
	echo "usage: fetch-sid.sh [--deps] PACKAGE DESTDIR" >&2
	exit 2
fi
package=$1 dest=$2
apt=$cache/apt-$suite

younger_than 10080 "$dest/.package" && exit 0
for tool in apt-get dpkg-deb flock; do
	command -v $tool >/dev/null || give_up "no $tool on this machine"
done
mkdir -p "$apt" "$(dirname "$dest")" || give_up "cannot write $apt"

# One at a time; whoever waited finds the work done.
exec 9>"$apt/lock"
flock 9
younger_than 10080 "$dest/.package" && exit 0

uri=$(archive_uri) || give_up "no Debian archive in this machine's apt configuration"
[ -r "$keyring" ] || give_up "no $keyring (package debian-archive-keyring)"
write_config "$uri" || give_up "cannot write $apt"
update_lists || give_up "the package lists of $suite cannot be had"
# Lists of this morning may name a file the archive has replaced since.
download_package || { rm -f "$apt/updated" && update_lists && download_package; } ||
	give_up "$suite has no $package: $(sed -n 's/^E: //p' "$apt/log" | head -1)"
unpack "$apt/download"/*.deb || give_up "$package cannot be unpacked"
rm -rf "$apt/download"
