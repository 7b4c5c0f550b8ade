# lib.sh: what the scripts share: where the project is, how to speak, and the packages. To be sourced by bash.
# The list of packages stands in scripts/packages, and nowhere else.
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
export LC_ALL=C.UTF-8
cores=$(nproc)

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Builds the command line in build-release, without CUDA; sets $backprop.
build_backprop() {
    local log
    say "building in $root/build-release"
    log=$(mktemp)
    if ! (cd "$root" && cmake --preset release -B build-release -DBP_CUDA=OFF -DBP_BUILD_TESTS=OFF -DBP_BUILD_BENCHMARKS=OFF &&
        cmake --build build-release -j "$cores" --target backprop_cli) >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        die "the build failed; what it said stands above"
    fi
    rm -f "$log"
    backprop=$root/build-release/cli/backprop
}

# The packages of these groups that are not installed.
missing_packages() {
    local group package
    while read -r group package _; do
        [[ " $* " == *" $group "* ]] || continue
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done < <(grep -v '^#' "$root/scripts/packages")
}

# install_packages GROUP...: as root, or with sudo. Does nothing, and touches no network, where all is there.
install_packages() {
    local missing as_root=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not Debian: make sure that the equivalents of the packages in scripts/packages are installed."
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "run me as root or install sudo; these packages are missing: ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update || die "apt-get update failed"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "${missing[@]}" || die "apt-get could not install ${missing[*]}"
}
