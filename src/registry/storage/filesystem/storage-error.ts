import { RegistryError } from '../../errors.ts';
import { PathNotFoundError } from '../driver.ts';

/** What an operator of the registry can do something about, in words that a client may see: no paths. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the storage volume of the registry is full (ENOSPC): make it larger or collect garbage',
  EDQUOT: 'the quota of the registry on its storage volume is used up (EDQUOT)',
  EROFS: 'the storage volume of the registry is mounted read-only (EROFS)',
  EACCES: 'the registry may not access its storage volume (EACCES): check the owner and mode of its files',
  EPERM: 'the registry may not access its storage volume (EPERM): check the owner and mode of its files',
  EMFILE: 'the registry has too many files open (EMFILE)',
  ENFILE: 'the machine of the registry has too many files open (ENFILE)',
  EIO: 'the storage volume of the registry does not work (EIO): see the log of its machine',
  ESTALE: 'the storage volume of the registry was changed on its file server (ESTALE)',
};

/**
 * The one place where errors of the file system become ours: what is missing a PathNotFoundError, what a human has to
 * repair a RegistryError UNAVAILABLE that says what. Others, and errors that are ours already, stay as they are.
 */
export function storageError(error: unknown, path: string): unknown {
  if (isNotFound(error)) return new PathNotFoundError(path);
  const reason = REASONS[errorCode(error) ?? ''];
  return reason === undefined
    ? error
    : new RegistryError({ code: 'UNAVAILABLE', message: reason }, { cause: error });
}

/** The reason in words when it is a known one, for messages at start. */
export function storageErrorReason(error: unknown): string {
  return REASONS[errorCode(error) ?? ''] ?? (error instanceof Error ? error.message : String(error));
}

/** A path with a file where a directory should be, or the other way round, leads nowhere either. */
export function isNotFound(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
