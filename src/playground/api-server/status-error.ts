import { withFields } from './fields/json.ts';
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
    const { code, message, reason, details } = this;
    const status = { kind: 'Status', apiVersion: 'v1', metadata: this.#metadata, status: 'Failure' };
    return withFields(status, { message, reason, details, code });
  }
}

/** `deployments.apps`. */
function qualified({ group, plural }: Pick<Named, 'group' | 'plural'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function detailsOf(group: string, name: string, what: string, causes?: readonly Json[]): JsonObject {
  const absent = (text: string) => (text === '' ? undefined : text);
  return withFields({}, { name: absent(name), group: absent(group), kind: absent(what), causes });
}

const refusal =
  (code: number, reason: string) =>
  (message: string, details?: JsonObject): StatusError =>
    new StatusError({ code, reason, message, ...(details && { details }) });

export const badRequest = refusal(400, 'BadRequest');
export const unauthorized = (): StatusError => refusal(401, 'Unauthorized')('Unauthorized');

export function forbidden(
  { group, plural }: Pick<Named, 'group' | 'plural'>,
  name: string,
  why: string,
  causes?: readonly Json[],
): StatusError {
  const what = qualified({ group, plural }) + (name === '' ? '' : ` ${JSON.stringify(name)}`);
  return refusal(403, 'Forbidden')(`${what} is forbidden: ${why}`, detailsOf(group, name, plural, causes));
}

export function notFound({ group, plural }: Pick<Named, 'group' | 'plural'>, name: string): StatusError {
  const message = `${qualified({ group, plural })} "${name}" not found`;
  return refusal(404, 'NotFound')(message, detailsOf(group, name, plural));
}

/** There is no such kind or subresource. */
export const noSuchResource = (): StatusError =>
  refusal(404, 'NotFound')('the server could not find the requested resource', {});

export const methodNotAllowed = (): StatusError =>
  refusal(405, 'MethodNotAllowed')('the server does not allow this method on the requested resource', {});

export function alreadyExists({ group, plural }: Named, name: string, isBeingDeleted: boolean): StatusError {
  const prefix = isBeingDeleted ? 'object is being deleted: ' : '';
  const message = `${prefix}${qualified({ group, plural })} "${name}" already exists`;
  return refusal(409, 'AlreadyExists')(message, detailsOf(group, name, plural));
}

/** `what`: the plural, or the kind where Kubernetes names that. */
export function conflict(kind: Named, name: string, why: string, what = qualified(kind)): StatusError {
  const shown = what === qualified(kind) ? kind.plural : kind.kind;
  const message = `Operation cannot be fulfilled on ${what} "${name}": ${why}`;
  return refusal(409, 'Conflict')(message, detailsOf(kind.group, name, shown));
}

export function modified(kind: Named, name: string): StatusError {
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  return conflict(kind, name, why);
}

export const expired = refusal(410, 'Expired');

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return refusal(415, 'UnsupportedMediaType')(message);
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
  const details = detailsOf(kind.group, name, kind.kind, causes);
  return refusal(422, 'Invalid')(`${what} "${name}" is invalid: ${list}`, details);
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
