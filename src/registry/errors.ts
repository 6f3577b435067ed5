/** The one table of errors: code, status, message; `wire` where the code on the wire is another one. OCI distribution-spec "Error codes"; docs/reference/errors.md. */
export const errorTable = {
  BODY_STALLED: { status: 408, message: 'the body stood still', wire: 'BLOB_UPLOAD_INVALID' },
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 404, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  HEADERS_TIMEOUT: { status: 408, message: 'the headers did not come in time', wire: 'UNSUPPORTED' },
  HEADERS_TOO_LARGE: { status: 431, message: 'the headers are too large', wire: 'UNSUPPORTED' },
  MANIFEST_BLOB_UNKNOWN: { status: 400, message: 'blob unknown to registry' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_TOO_LARGE: { status: 413, message: 'manifest too large', wire: 'MANIFEST_INVALID' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
  PRECONDITION_FAILED: { status: 412, message: 'the tag is not as the request demands', wire: 'TAG_INVALID' },
  PATH_UNKNOWN: { status: 404, message: 'no such path in the registry API', wire: 'UNSUPPORTED' },
  RANGE_INVALID: { status: 416, message: 'invalid content range' },
  REQUEST_MALFORMED: { status: 400, message: 'not a request of HTTP/1.1', wire: 'UNSUPPORTED' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  TAG_INVALID: { status: 400, message: 'manifest tag did not match URI' },
  TOO_MANY_TAGS: { status: 414, message: 'too many tags', wire: 'TAG_INVALID' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
} as const;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorItem {
  readonly code: ErrorCode;
  readonly message?: string;
  readonly detail?: unknown;
}

/** What handlers throw; one place writes it (http/error-response.ts). `message` replaces the table's when it can say more. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly items: readonly [ErrorItem, ...ErrorItem[]];
  /** Extra response headers, such as Retry-After or WWW-Authenticate. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    items: ErrorItem | readonly [ErrorItem, ...ErrorItem[]],
    options: { readonly headers?: Readonly<Record<string, string>>; readonly cause?: unknown } = {},
  ) {
    const list: readonly [ErrorItem, ...ErrorItem[]] = 'code' in items ? [items] : items;
    super(list[0].message ?? errorTable[list[0].code].message, { cause: options.cause });
    this.items = list;
    this.headers = options.headers ?? {};
  }

  get code(): ErrorCode {
    return this.items[0].code;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
}
