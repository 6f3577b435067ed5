import { encodeKey, type BucketAddress } from '../s3/s3-address.ts';

export interface OssAddressOptions {
  readonly bucket: string;
  /** `oss-cn-hangzhou`. */
  readonly region: string;
  /** Host of the bucket, in place of the usual one. */
  readonly endpoint: string | undefined;
  readonly internal: boolean;
  readonly secure: boolean;
}

/** Where the objects of a bucket of OSS are: the bucket always stands in the name of the host. */
export class OssAddress implements BucketAddress {
  readonly isSecure: boolean;
  readonly #bucket: string;
  readonly #base: string;

  constructor({ bucket, region, endpoint, internal, secure }: OssAddressOptions) {
    const host = endpoint ?? `${bucket}.${region}${internal ? '-internal' : ''}.aliyuncs.com`;
    this.isSecure = secure;
    this.#bucket = bucket;
    this.#base = `${secure ? 'https' : 'http'}://${host.replace(/^https?:\/\/|\/+$/g, '')}/`;
  }

  url(key: string, query = ''): URL {
    const url = new URL(this.#base + encodeKey(key));
    url.search = query;
    return url;
  }

  copySource(key: string): string {
    return `/${this.#bucket}/${encodeKey(key)}`;
  }
}
