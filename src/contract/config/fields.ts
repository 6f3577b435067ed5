/**
 * The kinds of options that a configuration is made of. A schema of them is the one source of types, defaults, decoding,
 * environment overrides and the reference page.
 */

interface Described {
  readonly description: string;
}

/** Absent stays absent: the part that it configures is off. */
interface MayBeAbsent {
  readonly optional?: true;
}

export type Field =
  | ObjectField
  | StringField
  | BooleanField
  | IntegerField
  | DurationField
  | MapField
  | ListField
  | ObsoleteField;

export interface ObjectField extends Described, MayBeAbsent {
  readonly type: 'object';
  readonly fields: Readonly<Record<string, Field>>;
  /** A bare string stands for an object with that one key, as in `auth: htpasswd` and `REGISTRY_AUTH=htpasswd`. */
  readonly bareKey?: true;
  /** Other names of fields, as in `s3aws` for `s3`. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** With `optional`: the key alone turns it on, with defaults. Otherwise an empty object is as good as none. */
  readonly namedByKey?: true;
}

export interface StringField extends Described, MayBeAbsent {
  readonly type: 'string';
  readonly default?: string;
  readonly values?: readonly string[];
  /** Capitals and small letters alike: decoded in small ones. */
  readonly anyCase?: true;
  readonly format?: StringFormat;
  /** Never printed or logged. */
  readonly secret?: true;
}

/** `file`: must be readable before anything starts, which the caller of parseConfig checks. */
export type StringFormat = 'address' | 'file' | 'absolute-path' | 'url-path' | 'url' | 'regexp';

export interface BooleanField extends Described, MayBeAbsent {
  readonly type: 'boolean';
  readonly default?: boolean;
}

export interface IntegerField extends Described, MayBeAbsent {
  readonly type: 'integer';
  readonly default?: number;
  readonly minimum: number;
  readonly maximum?: number;
  /** 0 is as good as nothing, which is what it means to docker distribution in many places. */
  readonly zeroIsDefault?: true;
}

/** Decoded to milliseconds. */
export interface DurationField extends Described, MayBeAbsent {
  readonly type: 'duration';
  /** As Go writes it. */
  readonly default?: string;
  /** See IntegerField. */
  readonly zeroIsDefault?: true;
}

/** Names that the user chooses, each with one value or a list. */
interface MapField extends Described {
  readonly type: 'map';
  readonly of: 'string' | 'list';
  /** The values are never printed or logged. */
  readonly secret?: true;
}

/** Items of one kind; without it an empty list. A single item may stand for a list of one, as in Go. */
interface ListField extends Described {
  readonly type: 'list';
  readonly of: ObjectField | StringField | IntegerField;
}

/**
 * Something that docker distribution has and that makes no sense any more: taken as it is, whatever it holds, and named
 * in a notice. The description says why it has no effect.
 */
interface ObsoleteField extends Described {
  readonly type: 'obsolete';
}

export type Decoded<F> = F extends { readonly type: 'object'; readonly fields: infer Fields }
  ? { readonly [K in keyof Fields]: Decoded<Fields[K]> | AbsentIf<Fields[K]> }
  : F extends { readonly type: 'string'; readonly values: readonly (infer V)[] }
    ? V
    : F extends { readonly type: 'string' }
      ? string
      : F extends { readonly type: 'boolean' }
        ? boolean
        : F extends { readonly type: 'integer' | 'duration' }
          ? number
          : F extends { readonly type: 'map'; readonly of: 'string' }
            ? Readonly<Record<string, string>>
            : F extends { readonly type: 'map' }
              ? Readonly<Record<string, readonly string[]>>
              : F extends { readonly type: 'list'; readonly of: infer Item }
                ? readonly Decoded<Item>[]
                : F extends { readonly type: 'obsolete' }
                  ? undefined
                  : never;

type AbsentIf<F> = F extends { readonly optional: true } ? undefined : never;
