import type { ByteRange, FileWriter } from '../driver.ts';

/**
 * What a bucket or container of any kind offers, by the names of its objects. `object-driver.ts` makes a StorageDriver of
 * it. Keys hold no leading slash. Calls retry what a store asks to have retried; a failure that they throw is final.
 * A completed write is seen by each later read and list.
 */
export interface ObjectStore {
  /** The driver's name in the configuration. */
  readonly name: string;
  /** A whole small object. @returns undefined when there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** Bytes of an object as they come. @returns undefined when there is none. */
  read(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined>;
  head(key: string): Promise<ObjectInfo | undefined>;
  put(key: string, content: Uint8Array): Promise<void>;
  /** Copies within the store, whatever the size. @returns false when `from` does not exist. */
  copy(from: string, to: string): Promise<boolean>;
  /**
   * As `copy` and `delete` of a sealed object, for stores that can give it another name and leave its bytes where they are.
   * When it fails the object may be gone from both. @returns false when `from` does not exist.
   */
  move?(from: string, to: string): Promise<boolean>;
  /** Removes objects, however many, and the parts that large ones are made of. Those that do not exist are no error. */
  delete(keys: readonly string[]): Promise<void>;
  /**
   * Objects whose key begins with `prefix`, in the order of their keys. With `shallow` those that go on behind another
   * slash are told once, as the prefix up to it. `limit`: the caller looks at no more than so many, so that a store need not
   * fetch more.
   */
  list(
    prefix: string,
    options: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<ListedObject>;

  /** Opens a large object for writing; with `append` it goes on behind what closed writers left. */
  writer(key: string, options: { readonly append: boolean }): Promise<FileWriter>;
  /** Bytes that closed writers left, sealed or not. */
  unfinishedSize(key: string): Promise<number | undefined>;
  /** Makes an object of what closed writers left. @returns false when there is nothing. */
  seal(key: string): Promise<boolean>;
  /** Gives up what writers left under a prefix and did not seal. */
  abandon(prefix: string): Promise<void>;

  /** See StorageDriver. */
  redirectUrl?(key: string, method: 'GET' | 'HEAD'): Promise<string | undefined>;
  /** See StorageDriver. @returns false when there was none. */
  deleteWithin?(key: string, milliseconds: number): Promise<boolean>;
  /** See StorageDriver. */
  deleteAllWithin?(keys: readonly string[], milliseconds: number): Promise<void>;
}

export interface ObjectInfo {
  /** Bytes. */
  readonly size: number;
  /** By the store's clock, milliseconds since the epoch. */
  readonly modifiedAt: number;
}

export type ListedObject =
  | ({ readonly kind: 'object'; readonly key: string } & ObjectInfo)
  /** `key` ends in a slash. */
  | { readonly kind: 'prefix'; readonly key: string };
