//! Files in memory, see memfd_create(2).

use crate::errno::errno_of;
use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

/// Fails with `EFBIG` for more bytes than `LimitFSIZE=` allows. Writing them would raise SIGXFSZ, which ends the
/// process.
pub(crate) fn with(name: &str, bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let most = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft);
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(Errno::EFBIG);
    }
    let mut file = File::from(create(name)?);
    file.write_all(bytes).map_err(errno_of)?;
    Ok(file.into())
}

/// Makes the file immutable, so that its reader can trust it.
pub(crate) fn seal(file: impl AsFd) -> Result<(), Errno> {
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop)
}

pub(crate) fn is_sealed(file: impl AsFd) -> bool {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK))
}

/// Calls the kernel directly, because glibc has `memfd_create` only since 2.27.
fn create(name: &str) -> Result<OwnedFd, Errno> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the kernel reads `name` up to its NUL.
    let fd = name.with_nix_path(|name| unsafe {
        libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags)
    })?;
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn what_is_sealed_can_be_read_and_not_changed() {
        let file = with("test", b"text").unwrap();
        assert!(!is_sealed(&file));
        seal(&file).unwrap();
        assert!(is_sealed(&file));
        let mut file = File::from(file);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(file.write(b"more").is_err());
        assert!(file.set_len(0).is_err());
    }
}
