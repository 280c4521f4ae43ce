//! The grammar of SOQL, as far as connectors write it.

use super::token::{Placed, Token, pointer, tokens};
use crate::salesforce::problem::Problem;

/// A query as it was written.
#[derive(Clone, Debug)]
pub(super) struct Soql {
    pub(super) select: Vec<Item>,
    pub(super) object: Name,
    pub(super) filter: Option<Expression>,
    pub(super) order: Vec<OrderItem>,
    pub(super) limit: Option<u64>,
    pub(super) offset: Option<u64>,
}

/// A name with its place.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Field(Name),
    /// `FIELDS(ALL)` and the like.
    Fields(Name),
    /// `COUNT()`.
    Count,
    Aggregate {
        function: String,
        field: Name,
        alias: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Compare {
        field: Name,
        operator: Operator,
        operands: Vec<Literal>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Like,
    Includes,
    Excludes,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    /// A number, a truth, a date, a time or null, as written.
    Bare(String),
}

#[derive(Clone, Debug)]
pub(super) struct OrderItem {
    pub(super) field: Name,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

pub(super) fn parse(query: &str) -> Result<Soql, Problem> {
    let mut parser = Parser {
        query,
        tokens: tokens(query)?,
        next: 0,
    };
    let soql = parser.query()?;
    match parser.tokens.get(parser.next) {
        None => Ok(soql),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    query: &'a str,
    tokens: Vec<Placed>,
    next: usize,
}

impl Parser<'_> {
    fn query(&mut self) -> Result<Soql, Problem> {
        self.expect("SELECT")?;
        let mut select = vec![self.item()?];
        while self.symbol(",") {
            select.push(self.item()?);
        }
        self.expect("FROM")?;
        let object = self.name()?;
        let filter = if self.keyword("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        if self.peek_keyword("GROUP") || self.peek_keyword("WITH") || self.peek_keyword("USING") {
            return Err(self.unexpected());
        }
        let mut order = Vec::new();
        if self.keyword("ORDER") {
            self.expect("BY")?;
            order.push(self.order_item()?);
            while self.symbol(",") {
                order.push(self.order_item()?);
            }
        }
        let limit = self.number_after("LIMIT")?;
        let offset = self.number_after("OFFSET")?;
        Ok(Soql {
            select,
            object,
            filter,
            order,
            limit,
            offset,
        })
    }

    fn item(&mut self) -> Result<Item, Problem> {
        let name = self.name()?;
        if !self.symbol("(") {
            return Ok(Item::Field(name));
        }
        let function = name.text.to_ascii_uppercase();
        if function == "COUNT" && self.symbol(")") {
            return Ok(Item::Count);
        }
        let field = self.name()?;
        if !self.symbol(")") {
            return Err(self.unexpected());
        }
        if function == "FIELDS" {
            return Ok(Item::Fields(field));
        }
        if !matches!(function.as_str(), "COUNT" | "MIN" | "MAX") {
            return Err(self.unexpected_at(name.at, &name.text));
        }
        let alias = match self.tokens.get(self.next).map(|placed| &placed.token) {
            Some(Token::Word(word)) if !word.eq_ignore_ascii_case("FROM") => {
                let alias = word.clone();
                self.next += 1;
                Some(alias)
            }
            _ => None,
        };
        Ok(Item::Aggregate {
            function,
            field,
            alias,
        })
    }

    /// `AND` and `OR` may not stand side by side without parentheses.
    fn expression(&mut self) -> Result<Expression, Problem> {
        let mut parts = vec![self.term()?];
        let and = self.peek_keyword("AND");
        let joint = if and { "AND" } else { "OR" };
        while self.keyword(joint) {
            parts.push(self.term()?);
        }
        if self.peek_keyword("AND") || self.peek_keyword("OR") {
            return Err(self.unexpected());
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        Ok(if and {
            Expression::And(parts)
        } else {
            Expression::Or(parts)
        })
    }

    fn term(&mut self) -> Result<Expression, Problem> {
        if self.keyword("NOT") {
            return Ok(Expression::Not(Box::new(self.term()?)));
        }
        if self.symbol("(") {
            let inner = self.expression()?;
            return if self.symbol(")") {
                Ok(inner)
            } else {
                Err(self.unexpected())
            };
        }
        let field = self.name()?;
        let operator = self.operator()?;
        let many = matches!(
            operator,
            Operator::In | Operator::NotIn | Operator::Includes | Operator::Excludes
        );
        let mut operands = Vec::new();
        if many {
            if !self.symbol("(") {
                return Err(self.unexpected());
            }
            operands.push(self.literal()?);
            while self.symbol(",") {
                operands.push(self.literal()?);
            }
            if !self.symbol(")") {
                return Err(self.unexpected());
            }
        } else {
            operands.push(self.literal()?);
        }
        Ok(Expression::Compare {
            field,
            operator,
            operands,
        })
    }

    fn operator(&mut self) -> Result<Operator, Problem> {
        let symbols = [
            ("=", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        for (symbol, operator) in symbols {
            if self.symbol(symbol) {
                return Ok(operator);
            }
        }
        for (word, operator) in [
            ("IN", Operator::In),
            ("LIKE", Operator::Like),
            ("INCLUDES", Operator::Includes),
            ("EXCLUDES", Operator::Excludes),
        ] {
            if self.keyword(word) {
                return Ok(operator);
            }
        }
        if self.keyword("NOT") {
            self.expect("IN")?;
            return Ok(Operator::NotIn);
        }
        Err(self.unexpected())
    }

    fn literal(&mut self) -> Result<Literal, Problem> {
        let literal = match self.tokens.get(self.next).map(|placed| &placed.token) {
            Some(Token::Text(text)) => Literal::Text(text.clone()),
            Some(Token::Word(word)) => Literal::Bare(word.clone()),
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(literal)
    }

    fn order_item(&mut self) -> Result<OrderItem, Problem> {
        let field = self.name()?;
        let descending = !self.keyword("ASC") && self.keyword("DESC");
        let mut nulls_last = false;
        if self.keyword("NULLS") {
            nulls_last = self.keyword("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(OrderItem {
            field,
            descending,
            nulls_last,
        })
    }

    fn number_after(&mut self, keyword: &str) -> Result<Option<u64>, Problem> {
        if !self.keyword(keyword) {
            return Ok(None);
        }
        let Some(Token::Word(word)) = self.tokens.get(self.next).map(|placed| &placed.token) else {
            return Err(self.unexpected());
        };
        let Ok(number) = word.parse() else {
            return Err(self.unexpected());
        };
        self.next += 1;
        Ok(Some(number))
    }

    fn name(&mut self) -> Result<Name, Problem> {
        match self.tokens.get(self.next) {
            Some(Placed {
                token: Token::Word(word),
                at,
            }) if word.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                let name = Name {
                    text: word.clone(),
                    at: *at,
                };
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn peek_keyword(&self, keyword: &str) -> bool {
        matches!(
            self.tokens.get(self.next).map(|placed| &placed.token),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword)
        )
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Problem> {
        if self.keyword(keyword) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(
            self.tokens.get(self.next).map(|placed| &placed.token),
            Some(Token::Symbol(next)) if *next == symbol
        );
        self.next += usize::from(found);
        found
    }

    fn unexpected(&self) -> Problem {
        let Some(placed) = self.tokens.get(self.next) else {
            return Problem::malformed_query("unexpected token: '<EOF>'");
        };
        let shown = match &placed.token {
            Token::Word(text) | Token::Text(text) => text.as_str(),
            Token::Symbol(symbol) => symbol,
        };
        self.unexpected_at(placed.at, shown)
    }

    fn unexpected_at(&self, at: usize, shown: &str) -> Problem {
        Problem::malformed_query(format!(
            "{}unexpected token: '{shown}'",
            pointer(self.query, at)
        ))
    }
}
