# package.sh: sourced at the top of the tree by what tries the package.

# newest TREE ARCH prints the package that was built last in a tree.
newest() {
	find "$1/build" -maxdepth 1 -name "camrelay_*_$2.deb" -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-
}

# prepare ARCH VERSION sets deb to the package that CAMRELAY_DEB names, or else to one
# that it builds, and cache to where bare systems are kept, of which there is one for
# ARCH then. Only root can go on.
prepare() {
	[ "$(id -u)" -eq 0 ] || { echo "${0##*/}: only root can enter a bare system or lay out a disk" >&2; exit 1; }
	deb=${CAMRELAY_DEB-}
	if [ -z "$deb" ]; then
		packaging/mkdeb.sh "$1" "$2"
		deb=$(newest . "$1")
	fi
	cache=${CAMRELAY_ROOT-/var/tmp/camrelay-root}
	mkdir -p "$cache"
	[ -e "$cache/$1.tar.zst" ] || packaging/test/mkroot.sh "$1" "$cache/$1.tar.zst"
}
