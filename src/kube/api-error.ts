/** What the API server's Status body says, or what is known without one. */
export interface ApiErrorFields {
  readonly status: number;
  /** The machine-readable word of the Status body, such as `NotFound`, `Conflict`, `Expired`; empty when there was none. */
  readonly reason: string;
  readonly message: string;
  /** How long the server asks the client to wait. */
  readonly retryAfterMs: number | undefined;
}

/** The API server answered, and it was no. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(fields: ApiErrorFields) {
    super(fields.message);
    this.status = fields.status;
    this.reason = fields.reason;
    this.retryAfterMs = fields.retryAfterMs;
  }
}

export function isNotFound(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 404;
}

/** 409: somebody else changed the object, owns the field, or made it first (`reason` is then `AlreadyExists`). */
export function isConflict(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 409;
}

/** 410: the resource version or continue token is older than what the server remembers. */
export function isGone(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 410;
}

/** Reads an error answer. The body is a Status object, or anything a proxy on the way chose to say. */
export function apiErrorFromResponse(status: number, retryAfter: string | undefined, body: string): ApiError {
  const parsed = parseStatus(body);
  const seconds = retryAfter === undefined ? parsed?.retryAfterSeconds : Number(retryAfter);
  return new ApiError({
    status,
    reason: parsed?.reason ?? '',
    message: parsed?.message ?? (body.trim().slice(0, 200) || `HTTP status ${status} without an explanation`),
    retryAfterMs: seconds !== undefined && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

/** Reads the Status object that a watch sends as its last event when it fails. */
export function apiErrorFromStatus(status: unknown): ApiError {
  const fields = statusFields(status);
  return new ApiError({
    status: fields?.code ?? 500,
    reason: fields?.reason ?? '',
    message: fields?.message ?? 'watch failed without an explanation',
    retryAfterMs: fields?.retryAfterSeconds === undefined ? undefined : fields.retryAfterSeconds * 1000,
  });
}

interface StatusFields {
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly retryAfterSeconds: number | undefined;
}

function parseStatus(body: string): StatusFields | undefined {
  try {
    return statusFields(JSON.parse(body));
  } catch {
    return undefined;
  }
}

function statusFields(value: unknown): StatusFields | undefined {
  if (!isRecord(value) || value['kind'] !== 'Status') return undefined;
  const details = isRecord(value['details']) ? value['details'] : {};
  return {
    code: typeof value['code'] === 'number' ? value['code'] : undefined,
    reason: typeof value['reason'] === 'string' ? value['reason'] : undefined,
    message: typeof value['message'] === 'string' ? value['message'] : undefined,
    retryAfterSeconds:
      typeof details['retryAfterSeconds'] === 'number' ? details['retryAfterSeconds'] : undefined,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
