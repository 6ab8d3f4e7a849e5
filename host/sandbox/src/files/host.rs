//! `wasi:filesystem` over [`Files`].
//!
//! The bindings' types of descriptors and directory streams belong to wasmtime's own file system. A resource is a number for the
//! guest, and what is behind it in the table is of types of our own: [`own`] and [`held`] are where the two meet.

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::content::{Times, now};
use super::stream::{MAX_TRANSFER, Reader, Writer};
use super::{Files, Id, Opening};

/// The name that the only directory goes by: relative paths begin in it, too.
const ROOT_NAME: &str = "/";

/// What the functions of `wasi:filesystem` work on.
pub(crate) struct FilesView<'a> {
    pub(crate) files: &'a mut Files,
    pub(crate) table: &'a mut ResourceTable,
}

impl HasData for FilesView<'static> {
    type Data<'a> = FilesView<'a>;
}

/// A descriptor.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: Id,
    flags: DescriptorFlags,
}

/// A reader of a directory.
struct Listing {
    directory: Id,
    /// The last name that it gave.
    last: Option<Box<str>>,
}

/// What the guest gets for something of ours in the table.
fn own<Ours, Theirs>(ours: Resource<Ours>) -> Resource<Theirs>
where
    Ours: 'static,
    Theirs: 'static,
{
    Resource::new_own(ours.rep())
}

/// What of ours is behind something that the guest holds.
fn held<Theirs, Ours>(theirs: &Resource<Theirs>) -> Resource<Ours>
where
    Ours: 'static,
    Theirs: 'static,
{
    Resource::new_borrow(theirs.rep())
}

impl FilesView<'_> {
    fn open(&self, fd: &Resource<Descriptor>) -> wasmtime::Result<Open> {
        Ok(*self.table.get::<Open>(&held(fd))?)
    }

    /// What a descriptor refers to that was opened for what a flag says. Whether a directory was opened to be changed is not asked:
    /// C libraries don't say so when they do, and no one else sees it.
    fn allowed(&self, fd: &Resource<Descriptor>, flag: DescriptorFlags) -> FsResult<Id> {
        let open = self.open(fd).map_err(FsError::trap)?;
        if open.flags.contains(flag) { Ok(open.id) } else { Err(failed(ErrorCode::BadDescriptor)) }
    }

    fn id(&self, fd: &Resource<Descriptor>) -> FsResult<Id> {
        Ok(self.open(fd).map_err(FsError::trap)?.id)
    }

    /// Puts something into the table: there is room for so much, and who has no room left can close something.
    fn push<T: Send + 'static>(&mut self, entry: T) -> FsResult<Resource<T>> {
        self.table.push(entry).map_err(|_| failed(ErrorCode::Quota))
    }

    /// Puts something into the table that refers to a file or directory, which was counted as open for it.
    fn push_open<T: Send + 'static, Theirs: 'static>(&mut self, id: Id, entry: T) -> FsResult<Resource<Theirs>> {
        self.push(entry).map(own).inspect_err(|_| self.files.close(id))
    }

    fn stat_of(&self, id: Id) -> FsResult<DescriptorStat> {
        let stat = self.files.stat(id).map_err(failed)?;
        Ok(DescriptorStat {
            type_: stat.kind,
            link_count: 1,
            size: stat.size,
            data_access_timestamp: Some(stat.times.accessed),
            data_modification_timestamp: Some(stat.times.modified),
            status_change_timestamp: None,
        })
    }

    fn set_times_of(&mut self, id: Id, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let old = self.files.stat(id).map_err(failed)?.times;
        let new = |new, old| match new {
            NewTimestamp::NoChange => old,
            NewTimestamp::Now => now(),
            NewTimestamp::Timestamp(time) => time,
        };
        let times = Times { accessed: new(accessed, old.accessed), modified: new(modified, old.modified) };
        self.files.set_times(id, times).map_err(failed)
    }
}

fn failed(code: ErrorCode) -> FsError {
    use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as Theirs;
    // Those that `Files` has.
    FsError::from(match code {
        ErrorCode::BadDescriptor => Theirs::BadDescriptor,
        ErrorCode::Exist => Theirs::Exist,
        ErrorCode::FileTooLarge => Theirs::FileTooLarge,
        ErrorCode::InsufficientSpace => Theirs::InsufficientSpace,
        ErrorCode::Invalid => Theirs::Invalid,
        ErrorCode::IsDirectory => Theirs::IsDirectory,
        ErrorCode::NameTooLong => Theirs::NameTooLong,
        ErrorCode::NoEntry => Theirs::NoEntry,
        ErrorCode::NotDirectory => Theirs::NotDirectory,
        ErrorCode::NotEmpty => Theirs::NotEmpty,
        ErrorCode::NotPermitted => Theirs::NotPermitted,
        ErrorCode::Quota => Theirs::Quota,
        ErrorCode::Unsupported => Theirs::Unsupported,
        _ => Theirs::Io,
    })
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.files.reopen(Id::ROOT)?;
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        let root = self.table.push(Open { id: Id::ROOT, flags })?;
        Ok(vec![(own(root), ROOT_NAME.to_owned())])
    }
}

impl Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        Ok(error.downcast()?.into())
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<ErrorCode>().copied())
    }
}

impl HostDescriptor for FilesView<'_> {
    fn read_via_stream(&mut self, fd: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let id = self.allowed(&fd, DescriptorFlags::READ)?;
        let content = self.files.content(id).map_err(failed)?.clone();
        let stream: DynInputStream = Box::new(Reader { content, position: offset });
        self.push(stream)
    }

    fn write_via_stream(&mut self, fd: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        let id = self.allowed(&fd, DescriptorFlags::WRITE)?;
        let content = self.files.content(id).map_err(failed)?.clone();
        let stream: DynOutputStream = Box::new(Writer { content, position: Some(offset) });
        self.push(stream)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let id = self.allowed(&fd, DescriptorFlags::WRITE)?;
        let content = self.files.content(id).map_err(failed)?.clone();
        let stream: DynOutputStream = Box::new(Writer { content, position: None });
        self.push(stream)
    }

    fn advise(&mut self, fd: Resource<Descriptor>, _: Filesize, _: Filesize, _: Advice) -> FsResult<()> {
        self.files.content(self.id(&fd)?).map(drop).map_err(failed)
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.id(&fd).map(drop)
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        Ok(self.open(&fd).map_err(FsError::trap)?.flags)
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        Ok(self.files.stat(self.id(&fd)?).map_err(failed)?.kind)
    }

    fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let id = self.allowed(&fd, DescriptorFlags::WRITE)?;
        self.files.content(id).and_then(|content| content.set_size(size)).map_err(failed)
    }

    fn set_times(&mut self, fd: Resource<Descriptor>, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let id = self.id(&fd)?;
        self.set_times_of(id, accessed, modified)
    }

    fn read(&mut self, fd: Resource<Descriptor>, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        let id = self.allowed(&fd, DescriptorFlags::READ)?;
        let content = self.files.content(id).map_err(failed)?;
        let bytes = content.read(offset, usize::try_from(len).unwrap_or(usize::MAX).min(MAX_TRANSFER));
        let ended = offset.saturating_add(bytes.len() as u64) >= content.size();
        Ok((bytes, ended))
    }

    fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let id = self.allowed(&fd, DescriptorFlags::WRITE)?;
        let written = self.files.content(id).and_then(|content| content.write(offset, &bytes)).map_err(failed)?;
        Ok(written as u64)
    }

    fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let directory = self.allowed(&fd, DescriptorFlags::READ)?;
        self.files.entry_after(directory, None).map_err(failed)?;
        self.files.reopen(directory).map_err(failed)?;
        self.push_open(directory, Listing { directory, last: None })
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.id(&fd).map(drop)
    }

    fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let directory = self.id(&fd)?;
        self.files.create_directory(directory, &path).map_err(failed)
    }

    fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.stat_of(self.id(&fd)?)
    }

    fn stat_at(&mut self, fd: Resource<Descriptor>, _: PathFlags, path: String) -> FsResult<DescriptorStat> {
        self.stat_of(self.files.find(self.id(&fd)?, &path).map_err(failed)?)
    }

    fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        _: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let directory = self.id(&fd)?;
        let id = self.files.find(directory, &path).map_err(failed)?;
        self.set_times_of(id, accessed, modified)
    }

    fn link_at(&mut self, _: Resource<Descriptor>, _: PathFlags, _: String, _: Resource<Descriptor>, _: String) -> FsResult<()> {
        Err(failed(ErrorCode::Unsupported))
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        _: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let directory = self.id(&fd)?;
        let how = Opening {
            create: how.contains(OpenFlags::CREATE),
            exclusive: how.contains(OpenFlags::EXCLUSIVE),
            directory: how.contains(OpenFlags::DIRECTORY),
            truncate: how.contains(OpenFlags::TRUNCATE),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let id = self.files.open(directory, &path, how).map_err(failed)?;
        self.push_open(id, Open { id, flags })
    }

    fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.files.find(self.id(&fd)?, &path).map_err(failed)?;
        // There are no links, so it is none.
        Err(failed(ErrorCode::Invalid))
    }

    fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let directory = self.id(&fd)?;
        self.files.remove_directory(directory, &path).map_err(failed)
    }

    fn rename_at(&mut self, fd: Resource<Descriptor>, old: String, new_fd: Resource<Descriptor>, new: String) -> FsResult<()> {
        let (from, to) = (self.id(&fd)?, self.id(&new_fd)?);
        self.files.rename(from, &old, to, &new).map_err(failed)
    }

    fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, _: String) -> FsResult<()> {
        Err(failed(ErrorCode::Unsupported))
    }

    fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let directory = self.id(&fd)?;
        self.files.remove_file(directory, &path).map_err(failed)
    }

    fn is_same_object(&mut self, a: Resource<Descriptor>, b: Resource<Descriptor>) -> wasmtime::Result<bool> {
        Ok(self.open(&a)?.id == self.open(&b)?.id)
    }

    fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        Ok(MetadataHashValue { lower: self.id(&fd)?.0, upper: 0 })
    }

    fn metadata_hash_at(&mut self, fd: Resource<Descriptor>, _: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let id = self.files.find(self.id(&fd)?, &path).map_err(failed)?;
        Ok(MetadataHashValue { lower: id.0, upper: 0 })
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        let open = self.table.delete::<Open>(Resource::new_own(fd.rep()))?;
        self.files.close(open.id);
        Ok(())
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    fn read_directory_entry(&mut self, stream: Resource<DirectoryEntryStream>) -> FsResult<Option<DirectoryEntry>> {
        let listing = self.table.get_mut::<Listing>(&held(&stream))?;
        let Some((name, type_)) = self.files.entry_after(listing.directory, listing.last.as_deref()).map_err(failed)? else {
            return Ok(None);
        };
        listing.last = Some(name.into());
        Ok(Some(DirectoryEntry { type_, name: name.to_owned() }))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let listing = self.table.delete::<Listing>(Resource::new_own(stream.rep()))?;
        self.files.close(listing.directory);
        Ok(())
    }
}
