import { Component, type ComponentChild, type ComponentType } from "preact";

/** A component that is drawn again only when one of its properties is another value. For rows of long tables. */
export function pure<P extends object>(draw: (props: P) => ComponentChild): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return !sameMembers<P>(this.props, next);
    }

    override render(): ComponentChild {
      return draw(this.props);
    }
  };
}

function sameMembers<P extends object>(a: P, b: P): boolean {
  const names = Object.keys(a) as (keyof P)[];
  return names.length === Object.keys(b).length && names.every((name) => Object.is(a[name], b[name]));
}
