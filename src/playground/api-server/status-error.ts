import { objectOf } from './fields/json.ts';
import type { FieldError, Json, JsonObject } from './kind.ts';

/** The place of a kind in messages. */
export interface Named {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

interface StatusFields {
  readonly code: number;
  readonly reason?: string;
  readonly message: string;
  readonly details?: JsonObject;
  readonly metadata?: JsonObject;
}

/** A request that is refused. What it says is worded as Kubernetes words it, since programs read it. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string | undefined;
  readonly details: JsonObject | undefined;
  readonly #metadata: JsonObject;

  constructor(fields: StatusFields) {
    super(fields.message);
    this.code = fields.code;
    this.reason = fields.reason;
    this.details = fields.details;
    this.#metadata = fields.metadata ?? {};
  }

  /** The Status object that is the answer. */
  get body(): JsonObject {
    return objectOf([
      ['kind', 'Status'],
      ['apiVersion', 'v1'],
      ['metadata', this.#metadata],
      ['status', 'Failure'],
      ['message', this.message],
      ['reason', this.reason],
      ['details', this.details],
      ['code', this.code],
    ]);
  }
}

/** `deployments.apps`. */
export function qualified({ group, plural }: Pick<Named, 'group' | 'plural'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function detailsOf(
  kind: Pick<Named, 'group'>,
  name: string,
  what: string,
  causes?: readonly Json[],
): JsonObject {
  return objectOf([
    ['name', name === '' ? undefined : name],
    ['group', kind.group === '' ? undefined : kind.group],
    ['kind', what === '' ? undefined : what],
    ['causes', causes],
  ]);
}

export function badRequest(message: string): StatusError {
  return new StatusError({ code: 400, reason: 'BadRequest', message });
}

export function unauthorized(): StatusError {
  return new StatusError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

export function forbidden(
  kind: Pick<Named, 'group' | 'plural'>,
  name: string,
  why: string,
  causes?: readonly Json[],
): StatusError {
  const object = name === '' ? qualified(kind) : `${qualified(kind)} ${JSON.stringify(name)}`;
  const details = detailsOf(kind, name, kind.plural, causes);
  return new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: `${object} is forbidden: ${why}`,
    details,
  });
}

export function notFound(kind: Pick<Named, 'group' | 'plural'>, name: string): StatusError {
  const message = `${qualified(kind)} "${name}" not found`;
  return new StatusError({
    code: 404,
    reason: 'NotFound',
    message,
    details: detailsOf(kind, name, kind.plural),
  });
}

/** There is no such kind or subresource. */
export function noSuchResource(): StatusError {
  const message = 'the server could not find the requested resource';
  return new StatusError({ code: 404, reason: 'NotFound', message, details: {} });
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource';
  return new StatusError({ code: 405, reason: 'MethodNotAllowed', message, details: {} });
}

export function alreadyExists(kind: Named, name: string, isBeingDeleted: boolean): StatusError {
  const message = `${isBeingDeleted ? 'object is being deleted: ' : ''}${qualified(kind)} "${name}" already exists`;
  return new StatusError({
    code: 409,
    reason: 'AlreadyExists',
    message,
    details: detailsOf(kind, name, kind.plural),
  });
}

/** `what`: the plural, or the kind where Kubernetes names that. */
export function conflict(kind: Named, name: string, why: string, what = qualified(kind)): StatusError {
  const message = `Operation cannot be fulfilled on ${what} "${name}": ${why}`;
  const details = detailsOf(kind, name, what === qualified(kind) ? kind.plural : kind.kind);
  return new StatusError({ code: 409, reason: 'Conflict', message, details });
}

export function modified(kind: Named, name: string): StatusError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  return conflict(kind, name, why);
}

export function expired(message: string): StatusError {
  return new StatusError({ code: 410, reason: 'Expired', message });
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new StatusError({ code: 415, reason: 'UnsupportedMediaType', message });
}

/** `Deployment.apps "web" is invalid: …`, with a cause for each mistake. */
export function invalid(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const what = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  // Several mistakes with one text are one in the message.
  const texts = [...new Set(errors.map((error) => `${pathOf(error)}: ${bodyOf(error)}`))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const causes = errors.map((error) => ({
    reason: `FieldValue${error.type}`,
    message: bodyOf(error),
    field: pathOf(error),
  }));
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `${what} "${name}" is invalid: ${list}`,
    details: detailsOf(kind, name, kind.kind, causes),
  });
}

export function internal(message: string): StatusError {
  return new StatusError({ code: 500, message });
}

const TITLES: Readonly<Record<FieldError['type'], string>> = {
  Required: 'Required value',
  Invalid: 'Invalid value',
  TypeInvalid: 'Invalid value',
  NotSupported: 'Unsupported value',
  Duplicate: 'Duplicate value',
  Forbidden: 'Forbidden',
  TooLong: 'Too long',
  TooMany: 'Too many',
  NotFound: 'Not found',
};

function pathOf({ path }: FieldError): string {
  return path === '' ? '<nil>' : path;
}

function bodyOf({ type, value, detail }: FieldError): string {
  const showsValue = !['Required', 'Forbidden', 'TooLong'].includes(type) && value !== undefined;
  const title = showsValue ? `${TITLES[type]}: ${JSON.stringify(value)}` : TITLES[type];
  return detail === '' ? title : `${title}: ${detail}`;
}
